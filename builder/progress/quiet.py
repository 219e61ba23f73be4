"""--progress=quiet, none and -q: nothing, but for the end of a failed step's log."""

from __future__ import annotations

from builder.graph.event import Event
from builder.progress.failures import Failures
from builder.progress.renderer import Stream, Summary


class QuietRenderer:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._failures = Failures()

    def event(self, event: Event) -> None:
        self._failures.event(event)

    def close(self, summary: Summary | None) -> None:
        text = self._failures.text()
        if text:
            self._stream.write(text)
            self._stream.flush()
