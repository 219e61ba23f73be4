"""The /dev of a sandbox: nodes of our own, and what is bound out of it. Standard library only: init.py imports it."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from builder.sandbox import linux
from builder.sandbox.inroot import InRoot
from builder.sandbox.linux import at

_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_OWN = ".nodes"  # a folder in it, there while mounts are made: a file system on which nodes open something
NODES = f"dev/{_OWN}"
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}


def mount_dev(inroot: InRoot, spec: dict[str, Any]) -> None:
    """Only nodes of ours open anything: a command may make any node, and images have them."""
    nodev = 0 if spec["insecure"] else linux.MS_NODEV
    linux.mount("tmpfs", at(inroot.folder("dev")), "tmpfs", linux.MS_NOSUID | nodev, "mode=755,size=65536k")
    dev = inroot.existing("dev")
    assert dev is not None
    os.mkdir(_OWN, 0o700, dir_fd=dev)
    linux.mount("tmpfs", f"{at(dev)}/{_OWN}", "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=700,size=64k")
    for name, numbers in _NODES.items():
        target = _empty(dev, name)
        bind_node(inroot, target, stat.S_IFCHR | 0o666, os.makedev(*numbers), f"/dev/{name}", (0, 0))
    if spec["insecure"]:
        _loop_devices(dev)
    for name, text in _LINKS.items():
        if name == "core" and not os.path.exists(text):
            continue
        os.symlink(text, name, dir_fd=dev)
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(name, 0o755, dir_fd=dev)
    flags = linux.MS_NOSUID | linux.MS_NOEXEC
    options = "newinstance,ptmxmode=0666,mode=0620"
    try:
        linux.mount("devpts", f"{at(dev)}/pts", "devpts", flags, options + ",gid=5")
    except OSError:  # group 5 is not mapped in this user namespace
        linux.mount("devpts", f"{at(dev)}/pts", "devpts", flags, options)
    linux.mount("tmpfs", f"{at(dev)}/shm", "tmpfs", linux.MS_SAFE, f"mode=1777,size={spec['shm_size']}")
    linux.mount("mqueue", f"{at(dev)}/mqueue", "mqueue", linux.MS_SAFE)
    _file(inroot, dev, "etc/hosts", spec["hosts"])
    _file(inroot, dev, "etc/resolv.conf", spec["resolv_conf"])


def _empty(where: int, name: str) -> int:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=where))
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=where)


def bind_node(inroot: InRoot, target: int, mode: int, device: int, host: str, owner: tuple[int, int]) -> None:
    """Bind a node over target, which is closed: a new one if we may make one, else the machine's, once it is proved."""
    own = inroot.existing(NODES)
    assert own is not None
    name = f"{os.major(device)}:{os.minor(device)}-{target}"
    try:
        os.mknod(name, mode, device, dir_fd=own)
    except PermissionError:  # in a user namespace
        source = os.open(host, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        status = os.fstat(source)
        if stat.S_IFMT(status.st_mode) != stat.S_IFMT(mode) or status.st_rdev != device:
            raise OSError(errno.ENODEV, "is not the device it should be", host) from None
    else:
        os.chown(name, *owner, dir_fd=own, follow_symlinks=False)
        os.chmod(f"{at(own)}/{name}", stat.S_IMODE(mode))
        source = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=own)
    linux.mount(at(source), at(target), flags=linux.MS_BIND)
    for fd in (own, source, target):
        os.close(fd)


def hide_nodes(inroot: InRoot) -> None:
    """What was bound stays."""
    dev = inroot.existing("dev")
    assert dev is not None
    linux.umount2(f"{at(dev)}/{_OWN}", linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW)
    os.rmdir(_OWN, dir_fd=dev)
    os.close(dev)


def _loop_devices(dev: int) -> None:
    """loop(4), where the machine has it and we may."""
    for name in ("loop-control", *(f"loop{n}" for n in range(8))):
        try:
            status = os.stat(f"/dev/{name}")
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=dev)
        except OSError:
            continue


def _file(inroot: InRoot, dev: int, path: str, text: str) -> None:
    """A file of ours over one of the image's. It is made in the new /dev, and has no name there once it is bound."""
    bind_data(inroot, dev, path, text.encode("utf-8", "surrogateescape"), 0o644, (0, 0))


def bind_data(inroot: InRoot, dev: int, path: str, data: bytes, mode: int, owner: tuple[int, int]) -> None:
    """Bind a file with these bytes over `path`, kept on the file system of the folder `dev`. owner: uid, gid."""
    name = ".file"
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=dev)
    with open(fd, "wb") as file:
        file.write(data)
        os.fchown(fd, *owner)
        os.fchmod(fd, mode)
    target = inroot.target(path, is_dir=False)
    linux.mount(f"{at(dev)}/{name}", at(target), flags=linux.MS_BIND)
    os.close(target)
    os.unlink(name, dir_fd=dev)
