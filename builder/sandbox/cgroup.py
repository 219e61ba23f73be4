"""Cgroups: a cgroup of its own for each step, with the limits of --resource (cgroups(7), cgroup-v2.rst).

Version 2, version 1, or both at once: each limit goes to the hierarchy that has its controller. Root makes them
beneath the root of each hierarchy, or --cgroup-parent, as BuildKit does. An ordinary user makes them in the nearest
cgroup above its own that was delegated to it. The folders go when the step has ended; those that a killed build left
go with the next one.
"""

from __future__ import annotations

import itertools
import math
import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builder.errors import SandboxFault
from builder.sandbox.hierarchy import Hierarchy, find_hierarchies, in_user_namespace, lines, remove
from builder.sandbox.spec import Cgroup, Limits
from builder.sandbox.stepcgroup import StepCgroup

_NAME = "lapstrake"
_KNOWN = frozenset({"cpu", "cpuset", "memory", "pids", "cpuacct", "blkio", "devices", "freezer"})
_numbers = itertools.count()


class Cgroups:
    """limits: of every step. warn: told once if an ordinary user's limits cannot be kept.

    Where root's cannot be, step() raises SandboxFault. hierarchies, rootless: as found, unless given.
    """

    def __init__(
        self,
        limits: Limits,
        warn: Callable[[str], None],
        hierarchies: tuple[Hierarchy, ...] | None = None,
        rootless: bool | None = None,
    ) -> None:
        self._limits, self._warn = limits, warn
        self._hierarchies = find_hierarchies() if hierarchies is None else hierarchies
        self._rootless = in_user_namespace() if rootless is None else rootless
        self._warned = False

    @contextmanager
    def step(self) -> Iterator[StepCgroup]:
        """The cgroups of one step, as long as the block lasts. May be used by many threads."""
        made: list[Cgroup] = []
        try:
            try:
                for hierarchy, values in self._wanted():
                    made.append(self._make(hierarchy, values))
            except SandboxFault as error:
                if not self._rootless:
                    raise
                self._say(error)
                while made:
                    remove(made.pop().folder)
            yield StepCgroup(tuple(made))
        finally:
            for cgroup in made:
                remove(cgroup.folder)

    def _say(self, error: SandboxFault) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"resource limits are not kept: {error.message}")

    def _wanted(self) -> Iterator[tuple[Hierarchy, list[tuple[str, str]]]]:
        """Each hierarchy that a step has to be in, the unified one first, and the (file, value) pairs to write."""
        left = {controller for controller, _, _ in _values(self._limits, unified=True)}
        for hierarchy in sorted(self._hierarchies, key=lambda one: not one.unified):
            values = [v for v in _values(self._limits, hierarchy.unified) if v[0] in hierarchy.controllers]
            left -= hierarchy.controllers
            if values or (self._limits.parent and (hierarchy.controllers & _KNOWN or hierarchy.unified)):
                yield hierarchy, [(file, value) for _, file, value in values]
        if left:
            raise SandboxFault(
                f"no cgroup controller here for {', '.join(sorted(left))}",
                "mount /sys/fs/cgroup, or build without --resource",
            )
        if not self._hierarchies:
            raise SandboxFault("no cgroups are mounted here", "mount /sys/fs/cgroup, or build without --cgroup-parent")

    def _make(self, hierarchy: Hierarchy, values: list[tuple[str, str]]) -> Cgroup:
        needed = {file.partition(".")[0] for file, _ in values}
        name = f"{os.getpid()}-{next(_numbers)}"
        folder = ""
        try:
            above = self._above(hierarchy, needed)
            _sweep(above)
            folder = f"{above}/{name}"
            os.mkdir(folder)
            if not hierarchy.unified:
                _inherit_cpuset(folder)
            for file, value in values:
                _write(f"{folder}/{file}", value)
        except OSError as error:
            if folder:
                remove(folder)
            raise SandboxFault(
                f"cannot make a cgroup for the step: {error.filename}: {error.strerror}", _hint(error)
            ) from error
        return Cgroup(folder, "" if hierarchy.unified else ",".join(sorted(hierarchy.controllers)))

    def _above(self, hierarchy: Hierarchy, needed: set[str]) -> str:
        """The folder that steps' cgroups are made in; made too, with what they need switched on down to it."""
        start = _delegated(hierarchy, needed) if self._rootless else hierarchy.point
        path = posixpath.normpath(f"/{self._limits.parent}").strip("/")
        folder = start
        for part in [p for p in path.split("/") if p] + [_NAME]:
            if hierarchy.unified:
                _switch_on(folder, needed)
            folder = f"{folder}/{part}"
            _make_folder(folder)
            if not hierarchy.unified:
                _inherit_cpuset(folder)
        if hierarchy.unified:
            _switch_on(folder, needed)
        return folder


def _values(limits: Limits, unified: bool) -> list[tuple[str, str, str]]:
    """(controller, file, value) in the order of writing: the memory limit before that of memory and swap."""
    found = []
    if limits.memory:
        found.append(("memory", "memory.max" if unified else "memory.limit_in_bytes", str(limits.memory)))
    if limits.memory_swap and unified:
        swap = "max" if limits.memory_swap < 0 else str(limits.memory_swap - limits.memory)
        found.append(("memory", "memory.swap.max", swap))
    elif limits.memory_swap:
        found.append(("memory", "memory.memsw.limit_in_bytes", str(limits.memory_swap)))
    if limits.cpu_shares:
        weight = cpu_weight(limits.cpu_shares) if unified else limits.cpu_shares
        found.append(("cpu", "cpu.weight" if unified else "cpu.shares", str(weight)))
    if unified and (limits.cpu_quota or limits.cpu_period):
        found.append(("cpu", "cpu.max", f"{limits.cpu_quota or 'max'} {limits.cpu_period or 100_000}"))
    elif limits.cpu_quota or limits.cpu_period:
        pairs = (("cpu.cfs_period_us", limits.cpu_period), ("cpu.cfs_quota_us", limits.cpu_quota))
        found += [("cpu", name, str(value)) for name, value in pairs if value]
    sets = (("cpuset.cpus", limits.cpuset_cpus), ("cpuset.mems", limits.cpuset_mems))
    return found + [("cpuset", name, value) for name, value in sets if value]


def cpu_weight(shares: int) -> int:
    """cpu.weight of version 2 (1 to 10000) for the cpu.shares of version 1 (2 to 262144), with 1024 at 100.

    The curve that runc and crun agreed on: quadratic in the logarithm.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def _delegated(hierarchy: Hierarchy, needed: set[str]) -> str:
    """The nearest cgroup at or above our own in which we may make others that have the controllers.

    Our own is the last choice where it is unified: a cgroup with processes cannot limit others in it.
    """
    paths = [hierarchy.own]
    while paths[-1] not in (".", ""):
        paths.append(posixpath.dirname(paths[-1]) or ".")
    for path in paths:
        folder = posixpath.normpath(f"{hierarchy.point}/{path}")
        if not os.access(folder, os.W_OK):
            continue
        if not hierarchy.unified or needed <= set(lines(f"{folder}/cgroup.subtree_control", " ")):
            return folder
    raise SandboxFault("no cgroup was delegated to this user", "start it with: systemd-run --user --scope lapstrake …")


def _switch_on(folder: str, controllers: set[str]) -> None:
    missing = controllers - set(lines(f"{folder}/cgroup.subtree_control", " "))
    if missing:
        _write(f"{folder}/cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(missing)))


def _inherit_cpuset(folder: str) -> None:
    """A new cpuset of version 1 is empty, and takes no process until it has what its parent has."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if os.path.exists(f"{folder}/{name}") and not any(lines(f"{folder}/{name}")):
            _write(f"{folder}/{name}", "".join(lines(f"{os.path.dirname(folder)}/{name}")))


def _sweep(above: str) -> None:
    """Take away what builds that were killed have left."""
    with os.scandir(above) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        pid = name.partition("-")[0]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            try:
                os.rmdir(f"{above}/{name}")
            except OSError:
                continue  # somebody lives there


def _make_folder(path: str) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        pass


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _hint(error: OSError) -> str:
    import errno

    if error.errno == errno.EBUSY:
        return "a cgroup of version 2 with processes in it cannot limit others: give --cgroup-parent an empty one"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "cgroups cannot be written here: build without --resource, or with /sys/fs/cgroup writable"
    return ""
