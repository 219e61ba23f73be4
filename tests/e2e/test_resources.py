"""--resource and --cgroup-parent on this machine's kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.sandbox.hierarchy import Hierarchy, find_hierarchies
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


@pytest.fixture
def memory() -> Hierarchy:
    if os.geteuid() != 0:
        pytest.skip("cgroups belong to root here")
    for hierarchy in find_hierarchies():
        probe = Path(hierarchy.point) / f"lapstrake-probe-{os.getpid()}"
        if "memory" in hierarchy.controllers:
            try:
                probe.mkdir()
                probe.rmdir()
            except OSError as error:
                pytest.skip(f"cgroups cannot be made here: {error}")
            return hierarchy
    pytest.skip("there is no memory controller here")


@pytest.fixture
def parent(memory: Hierarchy) -> Iterator[str]:
    """The name of a cgroup that is there as long as the test."""
    name = f"lapstrake-test-{os.getpid()}"
    yield name
    for hierarchy in find_hierarchies():
        for path in (f"{hierarchy.point}/{name}/lapstrake", f"{hierarchy.point}/{name}"):
            if os.path.isdir(path):
                os.rmdir(path)


def test_a_step_sees_its_limit(lapstrake: Lapstrake, tmp_path: Path, memory: Hierarchy, parent: str) -> None:
    file = "memory.max" if memory.unified else "memory/memory.limit_in_bytes"
    text = f"FROM base\nRUN cat /sys/fs/cgroup/{file} > /m; cat /proc/self/cgroup > /c\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context, "--resource", "memory=64m", "--cgroup-parent", parent, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "m").read_text() == "67108864\n"
    assert parent not in (tmp_path / "out" / "c").read_text()
    assert [p for p in Path(memory.point, parent, "lapstrake").iterdir() if p.is_dir()] == []
    again = lapstrake.built(context, "-m", "32m")
    assert not [step for step in again.steps("DONE") if step.startswith("RUN")]  # limits are in no key


def test_out_of_memory(lapstrake: Lapstrake, tmp_path: Path, parent: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN tail -c 200m /dev/zero > /dev/null\n"})
    options = ("--resource", "memory=24m", "--resource", "memory-swap=24m", "--cgroup-parent", parent)
    err = lapstrake.refused(context, *options).err
    assert 'process "/bin/sh -c tail -c 200m /dev/zero > /dev/null" did not complete successfully: ' in err
    assert "cannot allocate memory" in err
    assert "hint: the memory limit of the step was reached (exit code: 137)" in err


def test_without_cgroups_of_its_own(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """An ordinary user's build goes on where nothing was delegated to it, and says what it could not do."""
    if os.geteuid() == 0:
        pytest.skip("root may make cgroups")
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\nRUN cat {files} > /m; true\n"})
    done = lapstrake.built(context, "--resource", "memory=64m", "-o", str(tmp_path / "out"))
    kept = (tmp_path / "out" / "m").read_text() == "67108864\n"
    assert kept is not ("WARNING: resource limits are not kept: " in done.err)
