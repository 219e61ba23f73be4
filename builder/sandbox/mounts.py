"""The mounts of a sandbox, made in its own mount namespace before it pivots. Standard library only.

What runtimes give a container (OCI runtime-spec config-linux.md, default filesystems; Docker's masked and read-only
paths): fresh /proc, read-only /sys, a small /dev, and files of ours over /etc/hosts and /etc/resolv.conf. Targets are
opened once inside the root and mounted on by descriptor, never by a path that could have changed.
"""

from __future__ import annotations

import binascii
import errno
import fcntl
import os
import stat
import struct
from typing import Any

from builder.sandbox import linux
from builder.sandbox.inroot import InRoot

_SAFE = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_OWN = ".nodes"  # a folder in /dev, there while mounts are made: a file system on which nodes open something
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}
_MASKED = (
    "proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
    "proc/timer_list", "proc/timer_stats", "proc/sched_debug", "proc/scsi", "sys/firmware",
    "sys/devices/virtual/powercap",
)  # fmt: skip
_READONLY = ("proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger")


def mount_root(root: dict[str, Any], *, devices: bool = False) -> str:
    """Mount the spec's root and return its absolute path; the working directory is the spec's base folder.

    devices: whether nodes in it open what they are nodes of.
    """
    if root["type"] == "plain":
        linux.mount(root["path"], root["path"], flags=linux.MS_BIND)
        if not devices:
            linux.restrict(root["path"], linux.MOUNT_ATTR_NODEV)
        return str(root["path"])
    os.chdir(root["base"])
    target = f"{root['base']}/{root['upper']}"
    # Each of these features would leave marks in the upper folder that no image format has (overlayfs.rst).
    options = ["index=off", "metacopy=off", "redirect_dir=off"] + (["userxattr"] if root["userxattr"] else [])
    if root["userxattr"]:
        options.remove("redirect_dir=off")  # userxattr turns it off itself, and old kernels refuse both together
        options.remove("metacopy=off")
    options.append(f"lowerdir={':'.join(root['lowers'])},upperdir={root['upper']},workdir={root['work']}")
    linux.mount("overlay", root["upper"], "overlay", 0 if devices else linux.MS_NODEV, ",".join(options))
    return target


def mount_all(inroot: InRoot, spec: dict[str, Any], *, restricted: bool = False) -> None:
    """Everything below the root. restricted: by a cgroup for devices, which is not believed but tried."""
    _system(inroot, "proc", "proc")
    _dev(inroot, spec)
    if restricted and _devices_are_shut(inroot):
        for path in ("/", "dev"):
            fd = inroot.found(path)
            linux.permit(_at(fd), linux.MOUNT_ATTR_NODEV)
            os.close(fd)
    _sys(inroot, linux.MS_RDONLY if not spec["insecure"] else 0)
    _cgroups(inroot, spec["cgroups"])
    if not spec["insecure"]:
        _mask(inroot)
    for mount in spec["mounts"]:
        _GIVEN[mount["type"]](inroot, mount)
    _hide_nodes(inroot)


def open_terminal(inroot: InRoot) -> tuple[int, int]:
    """A new terminal of the root's own devpts (pts(4)), also shown as /dev/console: our side of it, and its peer."""
    ptmx, dev = inroot.existing("dev/pts/ptmx"), inroot.existing("dev")
    if ptmx is None or dev is None:
        raise OSError(errno.ENOENT, "is not there, since something else is mounted on /dev", "/dev/pts/ptmx")
    ours = os.open(_at(ptmx), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    theirs = peer(ours)
    os.close(os.open("console", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o620, dir_fd=dev))
    linux.mount(_at(theirs), f"{_at(dev)}/console", flags=linux.MS_BIND)
    return ours, theirs


def peer(ours: int) -> int:
    """The other side of a terminal (ioctl_tty(2)), found without its name."""
    fcntl.ioctl(ours, linux.TIOCSPTLCK, struct.pack("i", 0))
    return fcntl.ioctl(ours, linux.TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def _at(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _folder(inroot: InRoot, path: str) -> int:
    """A mount point that must be a folder by its own name: a link there is an attack (CVE-2019-16884 and others)."""
    fd = inroot.existing(path)
    if fd is None:
        fd = inroot.target(path, is_dir=True)
        if os.readlink(_at(fd)).rpartition("/")[2] != path.rpartition("/")[2]:
            raise OSError(errno.ELOOP, "is a link in the image, which it may not be", "/" + path)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        raise OSError(errno.ENOTDIR, "is not a folder in the image", "/" + path)
    return fd


def _system(inroot: InRoot, path: str, kind: str) -> None:
    linux.mount(kind, _at(_folder(inroot, path)), kind, _SAFE)


def _sys(inroot: InRoot, readonly: int) -> None:
    fd = _folder(inroot, "sys")
    try:
        linux.mount("sysfs", _at(fd), "sysfs", _SAFE | readonly)
    except PermissionError:  # the network namespace is not ours: show the machine's, read-only
        linux.mount("/sys", _at(fd), flags=linux.MS_BIND | linux.MS_REC)
        mounted = inroot.existing("sys")
        assert mounted is not None
        if readonly:
            linux.restrict(_at(mounted), linux.MOUNT_ATTR_RDONLY)


def _cgroups(inroot: InRoot, cgroups: list[dict[str, Any]]) -> None:
    """The step's own limits, to be read at the usual place, where the kernel lets us mount them."""
    fd = inroot.existing("sys/fs/cgroup") if cgroups else None
    if fd is None:
        return
    flags = _SAFE | linux.MS_RDONLY
    try:
        if not any(cgroup["controllers"] for cgroup in cgroups):
            linux.mount("cgroup2", _at(fd), "cgroup2", flags)
            return
        linux.mount("tmpfs", _at(fd), "tmpfs", _SAFE, "mode=755,size=64k")
        folder = inroot.existing("sys/fs/cgroup")
        assert folder is not None
        for cgroup in cgroups:
            name = cgroup["controllers"]
            if name:
                os.mkdir(name, 0o755, dir_fd=folder)
                linux.mount("cgroup", f"{_at(folder)}/{name}", "cgroup", flags, name)
    except PermissionError:
        return  # not ours to mount: the limits hold without being seen


def _devices_are_shut(inroot: InRoot) -> bool:
    """Whether the kernel forbids this process all devices but those of any container.

    Tried with numbers that no driver answers to: what is not forbidden is not there (ENXIO). null must open: else it is
    something else that forbids.
    """
    own = inroot.existing(f"dev/{_OWN}")
    assert own is not None
    tried = ((stat.S_IFCHR, (1, 255)), (stat.S_IFBLK, (0, 0)), (stat.S_IFCHR, (1, 3)))
    said = [_opening(own, kind, os.makedev(*numbers)) for kind, numbers in tried]
    os.close(own)
    return said == [errno.EPERM, errno.EPERM, 0]


def _opening(folder: int, kind: int, device: int) -> int:
    """The error number of opening a node, 0 for none, -1 if it cannot be made."""
    try:
        os.mknod("tried", kind | 0o600, device, dir_fd=folder)
    except OSError:
        return -1
    try:
        os.close(os.open("tried", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder))
        return 0
    except OSError as error:
        return error.errno or -1
    finally:
        os.unlink("tried", dir_fd=folder)


def _dev(inroot: InRoot, spec: dict[str, Any]) -> None:
    """Only nodes of ours open anything: a command may make any node, and images have them."""
    nodev = 0 if spec["insecure"] else linux.MS_NODEV
    linux.mount("tmpfs", _at(_folder(inroot, "dev")), "tmpfs", linux.MS_NOSUID | nodev, "mode=755,size=65536k")
    dev = inroot.existing("dev")
    assert dev is not None
    os.mkdir(_OWN, 0o700, dir_fd=dev)
    linux.mount("tmpfs", f"{_at(dev)}/{_OWN}", "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=700,size=64k")
    for name, numbers in _NODES.items():
        target = _empty(dev, name)
        _node(inroot, target, stat.S_IFCHR | 0o666, os.makedev(*numbers), f"/dev/{name}", (0, 0))
    if spec["insecure"]:
        _loop_devices(dev)
    for name, text in _LINKS.items():
        os.symlink(text, name, dir_fd=dev)
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(name, 0o755, dir_fd=dev)
    flags = linux.MS_NOSUID | linux.MS_NOEXEC
    options = "newinstance,ptmxmode=0666,mode=0620"
    try:
        linux.mount("devpts", f"{_at(dev)}/pts", "devpts", flags, options + ",gid=5")
    except OSError:  # group 5 is not mapped in this user namespace
        linux.mount("devpts", f"{_at(dev)}/pts", "devpts", flags, options)
    linux.mount("tmpfs", f"{_at(dev)}/shm", "tmpfs", _SAFE, f"mode=1777,size={spec['shm_size']}")
    linux.mount("mqueue", f"{_at(dev)}/mqueue", "mqueue", _SAFE)
    _file(inroot, dev, "etc/hosts", spec["hosts"])
    _file(inroot, dev, "etc/resolv.conf", spec["resolv_conf"])


def _empty(folder: int, name: str) -> int:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder))
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _node(inroot: InRoot, target: int, mode: int, device: int, host: str, owner: tuple[int, int]) -> None:
    """Bind a node over target, which is closed: a new one if we may make one, else the machine's, once it is proved."""
    own = inroot.existing(f"dev/{_OWN}")
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
        os.chmod(f"{_at(own)}/{name}", stat.S_IMODE(mode))
        source = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=own)
    linux.mount(_at(source), _at(target), flags=linux.MS_BIND)
    for fd in (own, source, target):
        os.close(fd)


def _hide_nodes(inroot: InRoot) -> None:
    """What was bound stays."""
    dev = inroot.existing("dev")
    assert dev is not None
    linux.umount2(f"{_at(dev)}/{_OWN}", linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW)
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
    _bound(inroot, dev, path, text.encode("utf-8", "surrogateescape"), 0o644, (0, 0))


def _bound(inroot: InRoot, dev: int, path: str, data: bytes, mode: int, owner: tuple[int, int]) -> None:
    name = ".file"
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=dev)
    with open(fd, "wb") as file:
        file.write(data)
        os.fchown(fd, *owner)
        os.fchmod(fd, mode)
    target = inroot.target(path, is_dir=False)
    linux.mount(f"{_at(dev)}/{name}", _at(target), flags=linux.MS_BIND)
    os.close(target)
    os.unlink(name, dir_fd=dev)


def _mask(inroot: InRoot) -> None:
    null = inroot.existing("dev/null")
    assert null is not None
    if os.fstat(null).st_rdev != os.makedev(1, 3):
        raise OSError(errno.ENODEV, "is not the null device", "/dev/null")
    for path in _MASKED:
        fd = inroot.existing(path)
        if fd is None:
            continue
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            linux.mount("tmpfs", _at(fd), "tmpfs", linux.MS_RDONLY | _SAFE, "size=0k")
        else:
            linux.mount(_at(null), _at(fd), flags=linux.MS_BIND)
        os.close(fd)
    for path in _READONLY:
        fd = inroot.existing(path)
        if fd is None:
            continue
        linux.mount(_at(fd), _at(fd), flags=linux.MS_BIND | linux.MS_REC)
        os.close(fd)
        again = inroot.existing(path)
        assert again is not None
        linux.restrict(_at(again), linux.MOUNT_ATTR_RDONLY)
        os.close(again)


def _tmpfs(inroot: InRoot, mount: dict[str, Any]) -> None:
    fd = inroot.target(mount["target"], is_dir=True)
    size = f",size={mount['size']}" if mount["size"] else ""
    flags = linux.MS_NOSUID | linux.MS_NODEV | (linux.MS_NOEXEC if mount["noexec"] else 0)
    linux.mount("tmpfs", _at(fd), "tmpfs", flags, f"mode={mount['mode']:o},uid={mount['uid']},gid={mount['gid']}{size}")
    os.close(fd)
    if mount["readonly"]:
        _restrict(inroot, mount["target"], linux.MOUNT_ATTR_RDONLY, is_dir=True)


def _own(inroot: InRoot, mount: dict[str, Any]) -> None:
    """Of the root itself only: what else is mounted there has parts that are hidden, which a bind would not have."""
    fd = inroot.target(mount["target"], is_dir=True)
    if os.fstat(fd).st_dev == os.fstat(inroot.found("/")).st_dev:
        linux.mount(_at(fd), _at(fd), flags=linux.MS_BIND)
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
    linux.mount(_at(source), _at(fd), flags=linux.MS_BIND)
    os.close(fd)
    os.close(source)
    readonly = linux.MOUNT_ATTR_RDONLY if mount["readonly"] else 0
    _restrict(inroot, mount["target"], linux.MOUNT_ATTR_NODEV | readonly, is_dir=is_dir)


def _given_file(inroot: InRoot, mount: dict[str, Any]) -> None:
    dev = inroot.existing("dev")
    assert dev is not None
    _bound(
        inroot, dev, mount["target"], binascii.a2b_base64(mount["data"]), mount["mode"], (mount["uid"], mount["gid"])
    )
    os.close(dev)
    attributes = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
    attributes |= 0 if mount["executable"] else linux.MOUNT_ATTR_NOEXEC
    _restrict(inroot, mount["target"], attributes, is_dir=False)


def _device(inroot: InRoot, mount: dict[str, Any]) -> None:
    target = inroot.target(mount["target"], is_dir=False)
    _node(inroot, target, mount["mode"], mount["device"], mount["host"], (mount["uid"], mount["gid"]))


def _restrict(inroot: InRoot, path: str, attributes: int, *, is_dir: bool) -> None:
    """The descriptor of a mount point stays that of what is below the mount: the mount itself is found anew."""
    fd = inroot.target(path, is_dir=is_dir)
    linux.restrict(_at(fd), attributes)
    os.close(fd)


_GIVEN = {"tmpfs": _tmpfs, "own": _own, "bind": _bind, "tree": _tree, "file": _given_file, "device": _device}
