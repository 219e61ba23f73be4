"""StepCgroup: the cgroups that one step runs in, and what they say of it."""

from __future__ import annotations

import msgspec

from builder.sandbox.spec import Cgroup


class StepCgroup(msgspec.Struct, frozen=True):
    """joined: none for a step without limits."""

    joined: tuple[Cgroup, ...] = ()

    def out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the step since its memory limit was reached."""
        return any(_kills(f"{cgroup.folder}/{name}") for cgroup in self.joined for name in _EVENTS)


_EVENTS = ("memory.events", "memory.oom_control")  # of version 2 and 1


def _kills(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            found = dict(line.split() for line in file.read(1 << 16).splitlines())
    except (OSError, ValueError):
        return 0
    return int(found.get("oom_kill", "0"))
