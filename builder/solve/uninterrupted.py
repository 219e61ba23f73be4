"""Uninterrupted: a few lines of the main thread that a Ctrl-C does not tear apart."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FrameType, TracebackType


class Uninterrupted:
    """As a `with`: KeyboardInterrupt is raised at its end, if a SIGINT came meanwhile. Other threads never see one.

    came: called by the signal's handler, to end what is waited for; it may only do what is reentrant.
    """

    def __init__(self, came: Callable[[], object] = lambda: None) -> None:
        self._tell = came
        self._came = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            import signal

            self._before = signal.signal(signal.SIGINT, self._note)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if threading.current_thread() is threading.main_thread():
            import signal

            signal.signal(signal.SIGINT, self._before)
        if self._came:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        self._tell()
