"""The mounts of a sandbox, made in its own mount namespace before it pivots. Standard library only.

What runtimes give a container (OCI runtime-spec config-linux.md, default filesystems; Docker's masked and read-only
paths): fresh /proc, read-only /sys, a small /dev, and files of ours over /etc/hosts and /etc/resolv.conf. Targets are
opened once inside the root and mounted on by descriptor, never by a path that could have changed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from builder.sandbox import dev, devicetrial, linux
from builder.sandbox.givenmounts import mount_given
from builder.sandbox.inroot import InRoot
from builder.sandbox.linux import at

_MASKED = (
    "proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
    "proc/timer_list", "proc/timer_stats", "proc/sched_debug", "proc/scsi", "sys/firmware",
    "sys/devices/virtual/powercap",
)  # fmt: skip
_READONLY = ("proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger")


def mount_all(inroot: InRoot, spec: dict[str, Any], *, restricted: bool = False) -> None:
    """Everything below the root. restricted: by a cgroup for devices, which is not believed but tried."""
    _system(inroot, "proc", "proc")
    dev.mount_dev(inroot, spec)
    if restricted and devicetrial.are_shut(inroot):
        for path in ("/", "dev"):
            fd = inroot.found(path)
            linux.permit(at(fd), linux.MOUNT_ATTR_NODEV)
            os.close(fd)
    _sys(inroot, linux.MS_RDONLY if not spec["insecure"] else 0)
    _cgroups(inroot, spec["cgroups"])
    if not spec["insecure"]:
        _mask(inroot)
    for mount in spec["mounts"]:
        mount_given(inroot, mount)
    dev.hide_nodes(inroot)


def _system(inroot: InRoot, path: str, kind: str) -> None:
    linux.mount(kind, at(inroot.folder(path)), kind, linux.MS_SAFE)


def _sys(inroot: InRoot, readonly: int) -> None:
    fd = inroot.folder("sys")
    try:
        linux.mount("sysfs", at(fd), "sysfs", linux.MS_SAFE | readonly)
    except PermissionError:  # the network namespace is not ours: show the machine's, read-only
        linux.mount("/sys", at(fd), flags=linux.MS_BIND | linux.MS_REC)
        mounted = inroot.existing("sys")
        assert mounted is not None
        if readonly:
            linux.restrict(at(mounted), linux.MOUNT_ATTR_RDONLY)


def _cgroups(inroot: InRoot, cgroups: list[dict[str, Any]]) -> None:
    """The step's own limits, to be read at the usual place, where the kernel lets us mount them."""
    fd = inroot.existing("sys/fs/cgroup") if cgroups else None
    if fd is None:
        return
    flags = linux.MS_SAFE | linux.MS_RDONLY
    try:
        if not any(cgroup["controllers"] for cgroup in cgroups):
            linux.mount("cgroup2", at(fd), "cgroup2", flags)
            return
        linux.mount("tmpfs", at(fd), "tmpfs", linux.MS_SAFE, "mode=755,size=64k")
        shown = inroot.existing("sys/fs/cgroup")
        assert shown is not None
        for cgroup in cgroups:
            name = cgroup["controllers"]
            if name:
                os.mkdir(name, 0o755, dir_fd=shown)
                linux.mount("cgroup", f"{at(shown)}/{name}", "cgroup", flags, name)
    except PermissionError:
        return  # not ours to mount: the limits hold without being seen


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
            linux.mount("tmpfs", at(fd), "tmpfs", linux.MS_RDONLY | linux.MS_SAFE, "size=0k")
        else:
            linux.mount(at(null), at(fd), flags=linux.MS_BIND)
        os.close(fd)
    for path in _READONLY:
        fd = inroot.existing(path)
        if fd is None:
            continue
        linux.mount(at(fd), at(fd), flags=linux.MS_BIND | linux.MS_REC)
        os.close(fd)
        again = inroot.existing(path)
        assert again is not None
        linux.restrict(at(again), linux.MOUNT_ATTR_RDONLY)
        os.close(again)
