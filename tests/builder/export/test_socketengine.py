from __future__ import annotations

import socket
from pathlib import Path

import pytest

from builder.export import socketengine
from builder.export.socketengine import SocketEngine


@pytest.mark.timeout(30)
@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_who_takes_the_call_and_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily
) -> None:
    monkeypatch.setattr(socketengine, "_PATIENCE", 0.05)
    monkeypatch.chdir(tmp_path)  # a socket's whole path may be longer than an address can be
    with socket.socket(family) as listening:
        listening.bind("s" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listening.listen()
        with pytest.raises(TimeoutError):
            SocketEngine(listening.getsockname(), "docker").ask()
