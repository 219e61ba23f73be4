"""Way: how one step reaches the network, and what of its sandbox follows from that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from builder.sandbox.spec import OverlayRoot, PlainRoot


class Way(NamedTuple):
    """root, network, listen, env (the last of a name counts): for its SandboxSpec. serve: as for Launcher.run()."""

    root: OverlayRoot | PlainRoot
    network: str
    listen: int = 0
    env: tuple[str, ...] = ()
    serve: Callable[[socket.socket], None] | None = None


class StepOutput:
    """What goes to a step's log: bytes of the command, and lines of ours, which begin on a line of their own.

    Safe for many threads.
    """

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._open = False

    def __call__(self, data: bytes) -> None:
        with self._lock:
            self._open = not data.endswith(b"\n")
            self._emit(bytes(data))

    def say(self, line: str) -> None:
        text = f"{line}\n".encode("utf-8", "replace")
        with self._lock:
            self._emit(b"\n" + text if self._open else text)
            self._open = False
