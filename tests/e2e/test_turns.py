"""Two builds at the same time on one store do an equal step once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.running import until

pytestmark = pytest.mark.e2e

WAITING = "waiting for another build that runs this step"
# The step counts its runs in a cache, which is in no key, and goes on when the test says so.
TEXT = """\
FROM base
RUN --mount=type=cache,target=/c echo x >> /c/runs; while [ ! -e /c/go ]; do sleep 0.05; done; cp /c/runs /runs
"""


class Meeting:
    """Builds of one Dockerfile on one store."""

    def __init__(self, lapstrake: Lapstrake, tmp_path: Path) -> None:
        self.lapstrake, self.path = lapstrake, tmp_path
        self.context = folder(tmp_path / "context", {"Dockerfile": TEXT})
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *args: str) -> subprocess.Popen[bytes]:
        out = f"type=docker,dest={self.path}/{name}.tar"
        process = self.lapstrake.start(self.context, "-o", out, *args)
        assert process.stderr
        os.set_blocking(process.stderr.fileno(), False)
        self.processes.append(process)
        return process

    def cache(self, name: str) -> Path | None:
        """A file of the cache mount, once there is a cache."""
        found = list(self.lapstrake.store.glob("caches/*/0"))
        return found[0] / name if found else None

    def runs(self) -> int:
        path = self.cache("runs")
        return path.read_text().count("x") if path is not None and path.exists() else 0

    def go(self) -> None:
        path = self.cache("go")
        assert path is not None
        path.touch()

    def locks(self) -> list[str]:
        return os.listdir(self.lapstrake.store / "running")


@pytest.fixture
def meeting(lapstrake: Lapstrake, tmp_path: Path) -> Iterator[Meeting]:
    made = Meeting(lapstrake, tmp_path)
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.communicate()


def says(process: subprocess.Popen[bytes], text: str) -> None:
    """Wait for words on the standard error."""
    said = b""

    def found() -> bool:
        nonlocal said
        assert process.stderr
        said += process.stderr.read() or b""
        return text.encode() in said

    until(found, f"no {text!r} is said")


def ended(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    os.set_blocking(process.stderr.fileno(), True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    return err.decode()


def test_done_once(meeting: Meeting, tmp_path: Path) -> None:
    first = meeting.start("1")
    until(lambda: meeting.runs() == 1, "the step does not start")
    second = meeting.start("2")
    says(second, WAITING)
    meeting.go()
    ended(first)
    assert "CACHED" in ended(second)
    assert meeting.runs() == 1
    assert flatten(tmp_path / "1.tar") == flatten(tmp_path / "2.tar")
    assert meeting.locks() == []


def test_who_waits_takes_over_from_the_dead(meeting: Meeting) -> None:
    first = meeting.start("1")
    until(lambda: meeting.runs() == 1, "the step does not start")
    second = meeting.start("2")
    says(second, WAITING)
    first.kill()
    until(lambda: meeting.runs() == 2, "nobody takes over")
    meeting.go()
    ended(second)
    assert meeting.locks() == []


def test_who_waits_can_be_interrupted(meeting: Meeting) -> None:
    first = meeting.start("1")
    until(lambda: meeting.runs() == 1, "the step does not start")
    second = meeting.start("2")
    says(second, WAITING)
    os.killpg(second.pid, signal.SIGINT)
    assert second.wait(30) == 130
    meeting.go()
    ended(first)
    assert meeting.runs() == 1


def test_no_cache_does_not_wait(meeting: Meeting) -> None:
    meeting.start("1")
    until(lambda: meeting.runs() == 1, "the step does not start")
    second = meeting.start("2", "--no-cache")
    until(lambda: meeting.runs() == 2, "it waits")
    meeting.go()
    assert WAITING not in ended(second)
    assert meeting.runs() == 2
