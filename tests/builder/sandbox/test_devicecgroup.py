"""Which devices a cgroup lets its processes open: on this machine's kernel, and what is written for version 1."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from builder.sandbox import devicecgroup
from builder.sandbox.devicecgroup import DeviceCgroup
from builder.sandbox.hierarchy import Hierarchy, find_hierarchies, in_user_namespace, remove
from builder.sandbox.launch import Launcher

ANY = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, 0), (136, 70_000)]
NONE = [
    (1, 1),
    (1, 2),
    (1, 4),
    (1, 6),
    (1, 11),
    (1, 255),
    (5, 1),
    (5, 3),
    (7, 0),
    (10, 229),
    (135, 0),
    (137, 0),
    (2, 3),
]


@pytest.mark.root
def test_a_helper_that_is_ended_while_it_begins_leaves_none() -> None:
    for _ in range(3):
        launcher = Launcher(b"")
        made: set[Path] = set()
        until = time.monotonic() + 5
        while not made and time.monotonic() < until:
            made = {p for h in find_hierarchies() for p in _cgroups(h) if p.name.endswith(f"-{launcher._pid}")}
        launcher.close()
        if not made:
            pytest.skip("no such cgroup can be had here")
        assert not any(path.exists() for path in made)


def _cgroups(hierarchy: Hierarchy) -> list[Path]:
    return list(Path(hierarchy.point, hierarchy.own).glob(f"{devicecgroup.PREFIX}*"))


@pytest.mark.root
@pytest.mark.parametrize("unified", [False, True])
def test_on_this_kernel(tmp_path: Path, unified: bool) -> None:
    def usable(hierarchy: Hierarchy) -> bool:
        return hierarchy.unified if unified else "devices" in hierarchy.controllers

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            made = devicecgroup.enter(os.getpid(), lambda folder: None, tuple(filter(usable, find_hierarchies())))
            if made is None:
                os._exit(0)
            said = {"c": _opened(tmp_path, stat.S_IFCHR), "b": _opened(tmp_path, stat.S_IFBLK)}
            made.leave()
            remove(made.folder)
            os.write(write, json.dumps([said, _opened(tmp_path, stat.S_IFCHR), os.path.exists(made.folder)]).encode())
        finally:
            os._exit(1)
    os.close(write)
    with open(read, encoding="ascii") as file:
        text = file.read()
    os.waitpid(pid, 0)
    if not text:
        pytest.skip("no such cgroup can be had here")
    inside, outside, left = json.loads(text)
    assert [numbers for numbers, allowed in zip(ANY + NONE, inside["c"], strict=True) if allowed] == ANY
    assert not any(inside["b"])
    assert all(outside[: len(ANY)])
    assert outside[len(ANY) + NONE.index((1, 255))]
    assert not left


def _opened(where: Path, kind: int) -> list[bool]:
    """For each pair of numbers, whether nothing forbids it (EPERM): there may be no such device."""
    found = []
    for numbers in ANY + NONE:
        path = where / "node"
        os.mknod(path, kind | 0o600, os.makedev(*numbers))
        found.append(os.access(path, os.R_OK) and os.access(path, os.W_OK))
        path.unlink()
    return found


def _hierarchy(root: Path, own: str = ".") -> Hierarchy:
    (root / own).mkdir(parents=True, exist_ok=True)
    return Hierarchy(str(root), own, frozenset({"devices"}), False)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """A folder of a disk has no files of the kernel."""
    if in_user_namespace():
        pytest.skip("not of the machine's root")
    told: list[str] = []
    assert devicecgroup.enter(4194999, told.append, (_hierarchy(tmp_path, "a/b"),)) is None
    assert told == [str(tmp_path / "a" / "b" / f"{devicecgroup.PREFIX}4194999")]
    assert list((tmp_path / "a" / "b").iterdir()) == []
    outside = Hierarchy(str(tmp_path / "a"), "..", frozenset({"devices"}), False)
    assert devicecgroup.enter(4194999, told.append, (outside,)) is None
    assert len(told) == 1


def test_what_killed_builds_left(tmp_path: Path) -> None:
    """The parent lives. A process that nobody has waited for yet does not."""
    if in_user_namespace():
        pytest.skip("not of the machine's root")
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
    for number in (4194999, dead, os.getpid(), os.getppid()):
        (tmp_path / f"{devicecgroup.PREFIX}{number}").mkdir()
    assert devicecgroup.enter(os.getpid(), lambda folder: None, (_hierarchy(tmp_path),)) is None
    os.waitpid(dead, 0)
    assert [path.name for path in tmp_path.iterdir()] == [f"{devicecgroup.PREFIX}{os.getppid()}"]


def test_a_cgroup_that_a_step_goes_on_to(tmp_path: Path) -> None:
    for name in ("devices.deny", "devices.allow"):
        (tmp_path / name).write_text("")
    made = DeviceCgroup("/x", False, -1)
    made.extend(str(tmp_path), "memory")
    assert (tmp_path / "devices.deny").read_text() == ""
    made.extend(str(tmp_path), "cpu,devices")
    assert (tmp_path / "devices.deny").read_text() == "a"
    with pytest.raises(FileNotFoundError):
        made.extend(str(tmp_path / "none"), "devices")
