"""Where a step's cgroup is made and what is written to it, on folders that stand for the kernel's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.errors import SandboxFault
from builder.sandbox import cgroup
from builder.sandbox.cgroup import Cgroups, cpu_weight
from builder.sandbox.hierarchy import Hierarchy, find_hierarchies
from builder.sandbox.spec import Limits

ALL = Limits(
    memory=64 << 20, memory_swap=96 << 20, cpu_shares=1024, cpu_quota=50_000, cpuset_cpus="0-1", cpuset_mems="0"
)


@pytest.fixture(autouse=True)
def removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's folders are removed with the files in them; those of a disk are not."""
    monkeypatch.setattr(cgroup, "remove", shutil.rmtree)


def two(root: Path, own: str = ".") -> Hierarchy:
    return Hierarchy(str(root), own, frozenset({"cpu", "cpuset", "memory"}), True)


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_version_2(tmp_path: Path) -> None:
    with Cgroups(ALL, pytest.fail, (two(tmp_path),), rootless=False).step() as step:
        (joined,) = step.joined
        assert joined.controllers == ""
        assert content(Path(joined.folder)) == {
            "memory.max": "67108864",
            "memory.swap.max": "33554432",
            "cpu.weight": "100",
            "cpu.max": "50000 100000",
            "cpuset.cpus": "0-1",
            "cpuset.mems": "0",
        }
        assert Path(joined.folder).parent == tmp_path / "lapstrake"
        for folder in (tmp_path, tmp_path / "lapstrake"):
            assert (folder / "cgroup.subtree_control").read_text() == "+cpu +cpuset +memory"
    assert not Path(joined.folder).exists()


def test_version_1_has_a_hierarchy_a_controller(tmp_path: Path) -> None:
    found = []
    for name in ("cpu", "cpuset", "memory", "pids"):
        (tmp_path / name).mkdir()
        found.append(Hierarchy(str(tmp_path / name), ".", frozenset({name}), False))
    with Cgroups(ALL, pytest.fail, tuple(found), rootless=False).step() as step:
        by_name = {joined.controllers: content(Path(joined.folder)) for joined in step.joined}
    assert by_name == {
        "cpu": {"cpu.shares": "1024", "cpu.cfs_quota_us": "50000"},
        "cpuset": {"cpuset.cpus": "0-1", "cpuset.mems": "0"},
        "memory": {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "100663296"},
    }


def test_the_parent_cannot_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    limits = Limits(parent="../../a/../b")
    with Cgroups(limits, pytest.fail, (two(root),), rootless=False).step() as step:
        assert Path(step.joined[0].folder).parent == root / "b" / "lapstrake"


def test_a_missing_controller(tmp_path: Path) -> None:
    none = Hierarchy(str(tmp_path), ".", frozenset(), True)
    with (
        pytest.raises(SandboxFault, match="no cgroup controller here for memory"),
        Cgroups(Limits(memory=1), pytest.fail, (none,), rootless=False).step(),
    ):
        pass
    said: list[str] = []
    cgroups = Cgroups(Limits(memory=1), said.append, (none,), rootless=True)
    for _ in range(2):
        with cgroups.step() as step:
            assert step.joined == ()
    assert said == ["resource limits are not kept: no cgroup controller here for memory"]


def test_an_ordinary_user_goes_up_to_what_was_delegated(tmp_path: Path) -> None:
    slice = tmp_path / "user" / "app.slice"
    (slice / "run.scope").mkdir(parents=True)
    (slice / "cgroup.subtree_control").write_text("memory pids\n")
    with Cgroups(
        Limits(memory=9), pytest.fail, (two(tmp_path, "user/app.slice/run.scope"),), rootless=True
    ).step() as s:
        assert Path(s.joined[0].folder).parent == slice / "lapstrake"


def test_what_killed_builds_left(tmp_path: Path) -> None:
    for name in ("4194999-0", "1-0", "other"):
        (tmp_path / "lapstrake" / name).mkdir(parents=True)
    with Cgroups(Limits(memory=9), pytest.fail, (two(tmp_path),), rootless=False).step():
        assert {p.name for p in (tmp_path / "lapstrake").iterdir()} >= {"1-0", "other"}
        assert not (tmp_path / "lapstrake" / "4194999-0").exists()


def test_out_of_memory(tmp_path: Path) -> None:
    with Cgroups(Limits(memory=9), pytest.fail, (two(tmp_path),), rootless=False).step() as step:
        assert not step.out_of_memory()
        (Path(step.joined[0].folder) / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
        assert not step.out_of_memory()
        (Path(step.joined[0].folder) / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
        assert step.out_of_memory()


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (1024, 100), (512, 59), (262144, 10000), (1, 1)])
def test_cpu_weight(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


def test_find_hierarchies(tmp_path: Path) -> None:
    (tmp_path / "u").mkdir()
    (tmp_path / "u" / "cgroup.controllers").write_text("hugetlb io\n")
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        f"1 2 0:1 / /proc rw - proc proc rw\n"
        f"3 2 0:2 / {tmp_path}/cpu rw shared:9 - cgroup cgroup rw,cpuacct,cpu\n"
        f"4 2 0:3 / {tmp_path}/s rw - cgroup cgroup rw,name=systemd\n"
        f"5 2 0:4 /docker/x {tmp_path}/u rw - cgroup2 cgroup2 rw\n"
    )
    own = tmp_path / "own"
    own.write_text("2:name=systemd:/a\n1:cpu,cpuacct:/b\n0::/docker/x/y\n")
    found = {h.point: h for h in find_hierarchies(str(mountinfo), str(own))}
    assert found[f"{tmp_path}/cpu"] == Hierarchy(f"{tmp_path}/cpu", "b", frozenset({"cpu", "cpuacct"}), False)
    assert found[f"{tmp_path}/u"] == Hierarchy(f"{tmp_path}/u", "y", frozenset({"hugetlb", "io"}), True)
    assert found[f"{tmp_path}/s"].controllers == frozenset({"name=systemd"})
