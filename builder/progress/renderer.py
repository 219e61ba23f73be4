"""Renderer: what shows a build's events to a person or a program. One class per form of output, one file each."""

from __future__ import annotations

from typing import Protocol

import msgspec

from builder.graph.event import Event
from cache.digest import Digest


class Summary(msgspec.Struct, frozen=True):
    """A build that ended well. digest: of the manifest; size: bytes; names: of the image; seconds: since the start."""

    digest: Digest
    size: int
    names: tuple[str, ...]
    seconds: float


class Stream(Protocol):
    """A text stream, usually stderr."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...

    def isatty(self) -> bool: ...


class Renderer(Protocol):
    """Calls come from one thread at a time."""

    def event(self, event: Event) -> None: ...

    def close(self, summary: Summary | None) -> None:
        """The build has ended; summary is None if it failed. Called once, last."""
        ...


def human_size(size: int) -> str:
    """Bytes as Docker shows them: three significant digits, powers of 1000 (`1.24MB`, `73.4kB`, `512B`)."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    text = f"{value:.3g}"
    if "e" in text:  # 999.6 rounds up to four digits
        text = f"{value:.0f}"
    return text + units[0]


def summary_line(summary: Summary) -> str:
    """`app:1 sha256:… 1.24MB in 0.3s`."""
    names = ", ".join(summary.names) or "image"
    return f"{names} {summary.digest} {human_size(summary.size)} in {summary.seconds:.1f}s"
