"""Ctrl-C, a second Ctrl-C, and a kill that nobody can catch."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.running import processes, until

pytestmark = pytest.mark.e2e

Build = subprocess.Popen[bytes]
SLEEPER = "sleep\x0086397"


@pytest.fixture
def process(lapstrake: Lapstrake, tmp_path: Path) -> Iterator[Build]:
    """A build whose step sleeps, deaf to signals, with a second sleeper in the background."""
    text = "FROM base\nRUN echo kept > /kept\nRUN trap '' INT TERM HUP; (setsid sleep 86397 &); sleep 86397\n"
    process = lapstrake.start(
        folder(tmp_path / "context", {"Dockerfile": text}), "-o", f"type=docker,dest={tmp_path}/out.tar"
    )
    try:
        until(lambda: SLEEPER in processes(), "the step does not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def nothing_is_left(lapstrake: Lapstrake, tmp_path: Path) -> None:
    until(lambda: SLEEPER not in processes(), "a process of the step is left")
    assert str(lapstrake.store) not in Path("/proc/self/mounts").read_text()
    assert not (tmp_path / "out.tar").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".", "out"))] == []


def interrupt_pends(process: Build) -> bool:
    """A second signal while the first one pends is no second one."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return False
    pending = re.findall(r"^S[ih][gd]Pnd:\t(\w+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in pending)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(process: Build, lapstrake: Lapstrake, tmp_path: Path, times: int) -> None:
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        until(lambda: not interrupt_pends(process), "the signal is not taken")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    nothing_is_left(lapstrake, tmp_path)


def test_terminate(process: Build, lapstrake: Lapstrake, tmp_path: Path) -> None:
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode in (130, 143, -signal.SIGTERM), err.decode()
    assert b"Traceback" not in err
    nothing_is_left(lapstrake, tmp_path)


def test_kill_then_the_next_build_works(process: Build, lapstrake: Lapstrake, tmp_path: Path) -> None:
    process.kill()
    process.communicate(timeout=30)
    nothing_is_left(lapstrake, tmp_path)
    text = "FROM base\nRUN echo kept > /kept\nRUN cat /kept\n"
    done = lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}))
    assert "RUN cat /kept" in done.steps("DONE")
