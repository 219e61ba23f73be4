"""What --mount, --device and -v show in a sandbox. Standard library only: init.py imports it."""

from __future__ import annotations

import binascii
import errno
import os
import stat
from typing import Any

from builder.sandbox import linux
from builder.sandbox.dev import bind_data, bind_node
from builder.sandbox.inroot import InRoot
from builder.sandbox.linux import at
from builder.sandbox.root import mount_root


def mount_given(inroot: InRoot, mount: dict[str, Any]) -> None:
    """mount: one of spec.Mount, as JSON."""
    _GIVEN[mount["type"]](inroot, mount)


def _tmpfs(inroot: InRoot, mount: dict[str, Any]) -> None:
    fd = inroot.target(mount["target"], is_dir=True)
    size = f",size={mount['size']}" if mount["size"] else ""
    flags = linux.MS_NOSUID | linux.MS_NODEV | (linux.MS_NOEXEC if mount["noexec"] else 0)
    linux.mount("tmpfs", at(fd), "tmpfs", flags, f"mode={mount['mode']:o},uid={mount['uid']},gid={mount['gid']}{size}")
    os.close(fd)
    if mount["readonly"]:
        _restrict(inroot, mount["target"], linux.MOUNT_ATTR_RDONLY, is_dir=True)


def _own(inroot: InRoot, mount: dict[str, Any]) -> None:
    """Of the root itself only: what else is mounted there has parts that are hidden, which a bind would not have."""
    fd = inroot.target(mount["target"], is_dir=True)
    if os.fstat(fd).st_dev == os.fstat(inroot.found("/")).st_dev:
        linux.mount(at(fd), at(fd), flags=linux.MS_BIND)
    os.close(fd)


def _bind(inroot: InRoot, mount: dict[str, Any]) -> None:
    source = os.open(mount["source"], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    if mount["path"]:
        below = InRoot(source).existing(mount["path"])
        os.close(source)
        if below is None:
            raise OSError(errno.ENOENT, "is not there to be mounted", mount["path"])
        source = below
    _show(inroot, source, mount)


def _tree(inroot: InRoot, mount: dict[str, Any]) -> None:
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    tree = os.open(mount_root(mount["root"]), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(here)
    source = InRoot(tree).found(mount["path"])
    os.close(here)
    os.close(tree)
    _show(inroot, source, mount)


def _show(inroot: InRoot, source: int, mount: dict[str, Any]) -> None:
    is_dir = stat.S_ISDIR(os.fstat(source).st_mode)
    fd = inroot.target(mount["target"], is_dir=is_dir)
    linux.mount(at(source), at(fd), flags=linux.MS_BIND)
    os.close(fd)
    os.close(source)
    readonly = linux.MOUNT_ATTR_RDONLY if mount["readonly"] else 0
    _restrict(inroot, mount["target"], linux.MOUNT_ATTR_NODEV | readonly, is_dir=is_dir)


def _given_file(inroot: InRoot, mount: dict[str, Any]) -> None:
    dev = inroot.existing("dev")
    assert dev is not None
    bind_data(
        inroot, dev, mount["target"], binascii.a2b_base64(mount["data"]), mount["mode"], (mount["uid"], mount["gid"])
    )
    os.close(dev)
    attributes = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
    attributes |= 0 if mount["executable"] else linux.MOUNT_ATTR_NOEXEC
    _restrict(inroot, mount["target"], attributes, is_dir=False)


def _device(inroot: InRoot, mount: dict[str, Any]) -> None:
    target = inroot.target(mount["target"], is_dir=False)
    bind_node(inroot, target, mount["mode"], mount["device"], mount["host"], (mount["uid"], mount["gid"]))


def _restrict(inroot: InRoot, path: str, attributes: int, *, is_dir: bool) -> None:
    """The descriptor of a mount point stays that of what is below the mount: the mount itself is found anew."""
    fd = inroot.target(path, is_dir=is_dir)
    linux.restrict(at(fd), attributes)
    os.close(fd)


_GIVEN = {"tmpfs": _tmpfs, "own": _own, "bind": _bind, "tree": _tree, "file": _given_file, "device": _device}
