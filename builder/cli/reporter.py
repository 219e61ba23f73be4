"""Reporter: what one build says of itself, from any thread: events to the renderer, with the time since it began."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from builder.graph.event import Event, Finished, Started, Transfer, Warned
from cache.digest import Digest


class Reporter:
    """render: is called with one event at a time."""

    def __init__(self, render: Callable[[Event], None]) -> None:
        self._render = render
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def clock(self) -> float:
        """Seconds since the build began."""
        return time.monotonic() - self._start

    def emit(self, event: Event) -> None:
        with self._lock:
            self._render(event)

    def warn(self, text: str) -> None:
        self.emit(Warned(None, text, self.clock()))

    def begin(self, what: str) -> Digest:
        """Announce work that is no step of the Dockerfile; done() ends it."""
        name = f"[internal] {what}"
        digest = Digest.of(name.encode("utf-8", "surrogateescape"))
        self.emit(Started(digest, name, self.clock()))
        return digest

    def moved(self, digest: Digest, blob: Digest, count: int, size: int) -> None:
        """So many bytes of a blob have come, in the work that begin() gave this digest."""
        self.emit(Transfer(digest, str(blob), count, size, self.clock()))

    def done(self, digest: Digest) -> None:
        self.emit(Finished(digest, self.clock()))
