"""Failures: what is kept of steps that may fail, so that the end of their logs can be shown when they do."""

from __future__ import annotations

from builder.graph.event import Event, Failed, Finished, Log, Started
from builder.progress.steplog import StepLog, failure_block
from cache.digest import Digest


class Failures:
    """Follows events; the logs of steps that end well are dropped."""

    def __init__(self) -> None:
        self._running: dict[Digest, tuple[str, StepLog]] = {}
        self._blocks: dict[Digest, str] = {}

    def event(self, event: Event) -> None:
        if isinstance(event, Started):
            self._running[event.vertex] = (event.name, StepLog(event.time))
            self._blocks.pop(event.vertex, None)  # it is tried again
        elif isinstance(event, Log) and event.vertex in self._running:
            self._running[event.vertex][1].feed(event.data, event.time)
        elif isinstance(event, Finished):
            self._running.pop(event.vertex, None)
        elif isinstance(event, Failed):
            name, log = self._running.pop(event.vertex, ("", None))
            if log is not None and not event.canceled:
                log.flush()
                self._blocks[event.vertex] = failure_block(name, log.tail())

    def text(self) -> str:
        """The blocks of all steps that failed of themselves, "" if none did."""
        return "".join(self._blocks.values())
