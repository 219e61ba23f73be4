"""The cgroup hierarchies that are mounted (cgroups(7)). Standard library only: init.py imports it."""

from __future__ import annotations

import os
import posixpath
import time
from typing import NamedTuple

_REMOVALS = 10  # attempts, each after twice the time of the one before: dead processes leave a cgroup a little later


class Hierarchy(NamedTuple):
    """A mounted one. point: where. own: path in it of this process's cgroup. controllers: those it can limit with."""

    point: str
    own: str
    controllers: frozenset[str]
    unified: bool


def find_hierarchies(mountinfo: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> tuple[Hierarchy, ...]:
    """The mounted hierarchies of this process (proc_pid_mountinfo(5)), each once."""
    paths: dict[str, str] = {}
    for line in lines(own):
        _, names, path = line.split(":", 2)
        paths[names] = path
    found: dict[str, Hierarchy] = {}
    for line in lines(mountinfo):
        left, _, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(rest) < 3 or rest[0] not in ("cgroup", "cgroup2"):
            continue
        top, point = fields[3], fields[4]
        unified = rest[0] == "cgroup2"
        key = "" if unified else next((c for c in paths if c and set(c.split(",")) <= set(rest[2].split(","))), None)
        if key is None or key not in paths:
            continue
        controllers = lines(f"{point}/cgroup.controllers", " ") if unified else key.split(",")
        inside = posixpath.relpath(paths[key], top) if top != "/" else paths[key].strip("/") or "."
        found.setdefault(key, Hierarchy(point, inside, frozenset(filter(None, controllers)), unified))
    return tuple(found.values())


def in_user_namespace() -> bool:
    """Whether this process is in one that is not the machine's."""
    return " ".join(lines("/proc/self/uid_map", " ")).split() != ["0", "0", "4294967295"]


def remove(folder: str) -> None:
    """Of a cgroup whose processes have been killed; it stays if they do not end."""
    for attempt in range(_REMOVALS):
        try:
            os.rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.001 * 2**attempt)


def lines(path: str, separator: str = "\n") -> list[str]:
    """The parts of a small file, none if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(1 << 20).strip().split(separator)
    except OSError:
        return []
