"""--progress=plain: lines as BuildKit prints them, made to be read in a log file (contract 13)."""

from __future__ import annotations

from builder.graph.event import Cached, Event, Failed, Finished, Log, Missed, Started, Transfer, Warned
from builder.progress.clean import clean
from builder.progress.renderer import Stream, Summary, human_size, summary_line
from builder.progress.steplog import StepLog, failure_block
from cache.digest import Digest

_TURN = 5.0  # seconds that a step may talk before another one that has something to say gets its turn
_TRANSFER = 5.0  # seconds between two lines about the same transfer


class _Step:
    """index: as printed, given when it is first shown. waiting: lines not yet shown."""

    def __init__(self, name: str, started: float) -> None:
        self.name = clean(name)
        self.started = started
        self.index = 0
        self.log = StepLog(started)
        self.waiting: list[str] = []
        self.transfers: dict[str, float] = {}
        self.running = True


class PlainRenderer:
    """One step is current and its lines appear at once; those of others wait until it ends or its turn is over."""

    def __init__(self, stream: Stream, longest: int = 0) -> None:
        """longest: characters of a step's name, 0 for all of them."""
        self._stream = stream
        self._longest = longest
        self._steps: dict[Digest, _Step] = {}
        self._current: _Step | None = None
        self._turn = 0.0
        self._count = 0
        self._failures: dict[Digest, str] = {}
        self._warnings: list[str] = []

    def event(self, event: Event) -> None:
        match event:
            case Started():
                self._start(event)
            case Log():
                step = self._step(event)
                step.waiting += step.log.feed(event.data, event.time)
                self._progress(step, event.time)
            case Missed():
                step = self._step(event)
                step.waiting.append(f"missed: {clean(event.why)}")
                self._progress(step, event.time)
            case Transfer():
                self._transfer(event)
            case Cached():
                self._end(self._step(event, event.name), "CACHED", event.time)
            case Finished():
                step = self._step(event)
                self._end(step, f"DONE {max(event.time - step.started, 0.0):.1f}s", event.time)
            case Failed():
                self._fail(event)
            case Warned():
                self._warn(event)
        self._stream.flush()

    def close(self, summary: Summary | None) -> None:
        for step in list(self._steps.values()):
            step.waiting += step.log.flush()
            if step.waiting:
                self._show(step, step.started)
        if self._warnings or self._failures or summary is not None:
            self._line("")
        for text in self._warnings:
            self._line(f"WARNING: {text}")
        self._stream.write("".join(self._failures.values()))
        if summary is not None:
            self._line(summary_line(summary))
        self._stream.flush()

    def _step(self, event: Event, name: str = "") -> _Step:
        vertex = event.vertex
        assert vertex is not None
        step = self._steps.get(vertex)
        if step is None:
            step = self._steps[vertex] = _Step(name or vertex.short, event.time)
        return step

    def _start(self, event: Started) -> None:
        known = self._steps.get(event.vertex)
        self._failures.pop(event.vertex, None)  # it is tried again
        step = self._steps[event.vertex] = _Step(event.name, event.time)
        if known is not None:
            step.index = known.index
            if self._current is known:
                self._current = None
        if self._current is None:
            self._show(step, event.time)

    def _transfer(self, event: Transfer) -> None:
        step = self._step(event)
        ended = event.total > 0 and event.current >= event.total
        last = step.transfers.get(event.what)
        if last is not None and not ended and event.time - last < _TRANSFER:
            return
        step.transfers[event.what] = event.time
        sizes = f" {human_size(event.current)}" if event.current else ""
        if event.total:
            sizes = f" {human_size(event.current)} / {human_size(event.total)}"
        step.waiting.append(f"{clean(event.what)}{sizes}{' done' if ended else ''}")
        self._progress(step, event.time)

    def _fail(self, event: Failed) -> None:
        step = self._step(event)
        self._end(step, "CANCELED" if event.canceled else f"ERROR: {clean(event.error)}", event.time)
        if not event.canceled:
            self._failures[event.vertex] = failure_block(step.name, step.log.tail())

    def _warn(self, event: Warned) -> None:
        text = clean(event.message)
        step = self._steps.get(event.vertex) if event.vertex is not None else None
        if step is None or not (step.running or event.finding):
            self._warnings.append(text)
            return
        step.waiting.append(f"WARN: {text}")
        if not step.running and self._current is None:  # of the text, found after it was read
            self._show(step, event.time)
            self._current = None
            return
        self._progress(step, event.time)

    def _progress(self, step: _Step, time: float) -> None:
        """Show a step's lines now if it is its turn, or becomes it."""
        if step.waiting and (self._current in (None, step) or time - self._turn >= _TURN):
            self._show(step, time)

    def _end(self, step: _Step, result: str, time: float) -> None:
        step.waiting += step.log.flush()
        self._show(step, time)
        self._line(f"#{step.index} {result}")
        step.running = False
        self._current = None
        self._next(time)

    def _next(self, time: float) -> None:
        """After a step has ended, turn to the running one that has most to say, or was never shown."""
        running = [s for s in self._steps.values() if s.running and (s.waiting or not s.index)]
        if running:
            self._show(max(running, key=lambda s: len(s.waiting)), time)

    def _show(self, step: _Step, time: float) -> None:
        """Make a step current, with its header if it was not, and print what waits."""
        if self._current is not step:
            if self._current is not None:
                self._line(f"#{self._current.index} ...")
            if self._count:
                self._line("")
            if not step.index:
                self._count += 1
                step.index = self._count
            long = self._longest and len(step.name) > self._longest
            self._line(f"#{step.index} {step.name[: self._longest] + '...' if long else step.name}")
            self._current, self._turn = step, time
        self._stream.write("".join(f"#{step.index} {line}\n" for line in step.waiting))
        step.waiting.clear()

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
