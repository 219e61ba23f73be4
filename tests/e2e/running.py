"""What runs on this machine, and waiting for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 20.0


def processes() -> str:
    """The command lines of all processes, one a line, words separated by NUL."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.append(Path(f"/proc/{name}/cmdline").read_text(errors="replace"))
            except OSError:
                continue
    return "\n".join(found)


def until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as it holds; fail with `what` if it does not come to."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
