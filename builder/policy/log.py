"""Levels of a policy's log, as logrus has them, and who is told."""

from __future__ import annotations

from collections.abc import Callable

ERROR, WARN, INFO, DEBUG = 2, 3, 4, 5
LEVELS = {
    "panic": 0, "fatal": 1, "error": ERROR, "warn": WARN, "warning": WARN, "info": INFO, "debug": DEBUG, "trace": 6,
}  # fmt: skip

Log = Callable[[int, str], None]
"""Called with a level and a line."""


def quiet(level: int, text: str) -> None:
    """Nobody is told."""
