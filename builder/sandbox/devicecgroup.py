"""DeviceCgroup: which devices the steps of a build may open, as Docker's containers. Standard library only.

Version 1: the controller `devices` (cgroup-v1/devices.rst). Version 2: a BPF program (cgroup-v2.rst, "Device
controller"). The cgroup is made beneath the builder's own, so that what the builder may not open stays shut. The helper
joins it before it forks steps.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from builder.sandbox import linux
from builder.sandbox.hierarchy import Hierarchy, find_hierarchies, in_user_namespace

PREFIX = "lapstrake-devices-"
_MAKE_ANY = ("c *:* m", "b *:* m")
# null, zero, full, random, urandom; tty, ptmx; the ends of terminals. Docker's, but for 5:1, the machine's console.
_MEMORY, _TERMINAL, _ENDS = (3, 5, 7, 8, 9), (0, 2), 136
_ALLOWED = (
    *(f"c 1:{minor} rwm" for minor in _MEMORY),
    *(f"c 5:{minor} rwm" for minor in _TERMINAL),
    f"c {_ENDS}:* rwm",
)


class DeviceCgroup:
    """One that this process is in. folder: its path. Whether it holds is for each step to prove: see devicetrial.py."""

    def __init__(self, folder: str, unified: bool, program: int) -> None:
        self.folder = folder
        # Of version 1, one thread: that is all we have, and the kernel need not wait for all others as for a process.
        self._members = "cgroup.procs" if unified else "tasks"
        self._program = program

    def leave(self) -> None:
        """Back to where the builder is."""
        _write(f"{os.path.dirname(self.folder)}/{self._members}", "0")

    def extend(self, folder: str, controllers: str) -> None:
        """To a cgroup that a step goes on to, if it is of the same hierarchy. controllers: as in spec.Cgroup."""
        if self._program >= 0 and not controllers:
            _attach(folder, self._program)
        elif self._program < 0 and "devices" in controllers.split(","):
            _allow(folder)


def enter(
    name: int, tell: Callable[[str], object], hierarchies: tuple[Hierarchy, ...] | None = None
) -> DeviceCgroup | None:
    """Make and join one, None where it cannot be had. name: a process that lives as long as it is needed.

    tell: given each folder just before it is made, for who removes it later.
    """
    if in_user_namespace():
        return None
    if hierarchies is None:
        hierarchies = find_hierarchies()
    usable = [h for h in hierarchies if h.unified or "devices" in h.controllers]
    # Version 2 first: where both are, systemd may move the processes of a unit in the hierarchies of version 1.
    for hierarchy in sorted(usable, key=lambda h: not h.unified):
        try:
            return _made(hierarchy, name, tell)
        except OSError:
            continue
    return None


def program() -> bytes:
    """The BPF program: 1 in r0 for what may be done, by struct bpf_cgroup_dev_ctx (linux/bpf.h) in r1."""
    allow, deny = "allow", "deny"
    code: list[tuple[int, int, int, int | str, int]] = [  # operation, target, source, jump, value
        (0x61, 2, 1, 0, 0),  # r2 = access << 16 | type
        (0x61, 4, 1, 4, 0),  # r4 = major
        (0x61, 5, 1, 8, 0),  # r5 = minor
        (0xBF, 3, 2, 0, 0),
        (0x57, 3, 0, 0, 0xFFFF),  # r3 = type: 1 block, 2 character
        (0x77, 2, 0, 0, 16),
        (0x57, 2, 0, 0, 6),  # r2 = access but for mknod (1): read 2, write 4
        (0x15, 2, 0, allow, 0),
        (0x55, 3, 0, deny, 2),
        (0x15, 4, 0, allow, _ENDS),
        (0x15, 4, 0, "terminal", 5),
        (0x55, 4, 0, deny, 1),
        *((0x15, 5, 0, allow, minor) for minor in _MEMORY),
        (0x05, 0, 0, deny, 0),
    ]
    labels = {"terminal": len(code)}
    code += [(0x15, 5, 0, allow, minor) for minor in _TERMINAL]
    labels[deny] = len(code)
    code += [(0xB7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]
    labels[allow] = len(code)
    code += [(0xB7, 0, 0, 0, 1), (0x95, 0, 0, 0, 0)]
    return b"".join(
        struct.pack("=BBhi", op, source << 4 | target, labels[to] - at - 1 if isinstance(to, str) else to, value)
        for at, (op, target, source, to, value) in enumerate(code)
    )


def _made(hierarchy: Hierarchy, name: int, tell: Callable[[str], object]) -> DeviceCgroup:
    own = os.path.normpath(f"{hierarchy.point}/{hierarchy.own}")
    if own != hierarchy.point and not own.startswith(hierarchy.point.rstrip("/") + "/"):
        raise OSError(0, "not mounted here", own)
    _sweep(own, str(name))
    folder = f"{own}/{PREFIX}{name}"
    tell(folder)
    os.mkdir(folder)
    made = DeviceCgroup(folder, hierarchy.unified, -1)
    try:
        if hierarchy.unified:
            made = DeviceCgroup(folder, True, linux.load_device_program(program()))
            _attach(folder, made._program)
        else:
            _allow(folder)
        _write(f"{folder}/{made._members}", "0")
    except OSError:
        os.rmdir(folder)
        raise
    return made


def _sweep(own: str, name: str) -> None:
    """Take away what builds that were killed have left, also one whose process had our number."""
    with os.scandir(own) as entries:
        found = [entry.name.removeprefix(PREFIX) for entry in entries if entry.name.startswith(PREFIX)]
    for other in found:
        if other == name or not os.path.exists(f"/proc/{other}/exe"):  # a dead one that nobody waited for has none
            try:
                os.rmdir(f"{own}/{PREFIX}{other}")
            except OSError:
                continue  # somebody lives there


def _allow(folder: str) -> None:
    _write(f"{folder}/devices.deny", "a")
    for line in (*_MAKE_ANY, *_ALLOWED):
        try:
            _write(f"{folder}/devices.allow", line)
        except PermissionError:
            continue  # what the cgroup above forbids, stays forbidden


def _attach(folder: str, program: int) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        linux.attach_device_program(fd, program)
    finally:
        os.close(fd)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
