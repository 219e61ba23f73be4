"""The helper that steps run in, as the builder starts it."""

from __future__ import annotations

import os
import select
import signal
import socket

import pytest

from builder.sandbox.hierarchy import remove
from builder.sandbox.launch import Launcher
from tests.e2e.running import until


def test_ctrl_c_is_not_the_helpers(capfd: pytest.CaptureFixture[str]) -> None:
    """A terminal sends it to all processes of the group, also to one that has only just been started."""
    launcher = Launcher(b"")
    try:
        helper = launcher._pid
        os.kill(helper, signal.SIGINT)
        until(lambda: _mask(helper, "SigIgn") & 1 << (signal.SIGINT - 1) and not _mask(helper, "SigBlk"), "it is gone")
        os.kill(helper, signal.SIGINT)
        assert "Z" not in _field(helper, "State")
    finally:
        launcher.close()
    assert capfd.readouterr().err == ""


def _mask(pid: int, name: str) -> int:
    return int(_field(pid, name), 16)


def _field(pid: int, name: str) -> str:
    with open(f"/proc/{pid}/status") as file:
        return next(line.split(":", 1)[1].strip() for line in file if line.startswith(name + ":"))


@pytest.mark.root
def test_a_builder_that_dies_without_having_heard_all(capfd: pytest.CaptureFixture[str]) -> None:
    launcher = Launcher(b"")
    if not select.select([launcher._control], [], [], 5)[0]:
        launcher.close()
        pytest.skip("no cgroup for devices can be had here")
    folder = os.fsdecode(launcher._control.recv(1 << 16, socket.MSG_PEEK))
    launcher._control.close()
    os.waitpid(launcher._pid, 0)
    remove(folder)
    assert capfd.readouterr().err == ""
