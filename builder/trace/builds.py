"""Builds: the last build of a store, or of a context, with the one before it: what `lapstrake explain` speaks of."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from builder.trace.align import aligned
from builder.trace.changes import Change, changes
from builder.trace.compare import Difference, differences, flat
from builder.trace.listing import read
from builder.trace.step import Step
from builder.trace.trace import Outcome, Trace
from builder.trace.traces import last_built
from cache.errors import CacheFault, Fault


class Explained(msgspec.Struct, frozen=True):
    """A step of the last build. outcome: what became of it. fields: of its key. before: of the step that it was in the
    build before, None if there was none. differences: between the two.
    """

    step: Step
    outcome: Outcome
    fields: dict[str, str]
    before: dict[str, str] | None
    differences: list[Difference]


class Builds:
    """last, previous: traces. time, previous_time: seconds since 1970. Raises Fault where nothing was built."""

    def __init__(self, root: str, context: str = "") -> None:
        traces = last_built(root, context)
        names = traces.names() if traces is not None else []
        last = traces.load(names[0]) if traces is not None and names else None
        if traces is None or last is None:
            where = f"of {context} " if context else ""
            raise Fault(f"no build {where}is known in this store", "build it first, or name the store with --root")
        self._traces, self.last, self.time = traces, last, traces.time(names[0])
        self._outcomes = {outcome.key: outcome for outcome in traces.outcomes(names[0])}
        self.previous: Trace | None = None
        self.previous_time = 0.0
        for name in names[1:]:
            self.previous, self.previous_time = traces.load(name), traces.time(name)
            if self.previous is not None:
                break
        self._pairs = self._paired()

    def steps(self) -> list[Step]:
        """Those of the Dockerfile that make a layer."""
        return [step for step in self.last.steps if step.kind != "image"]

    def outcome(self, step: Step) -> Outcome:
        """What became of a step: cached, if all was."""
        state = "unused" if self._outcomes else "cached"
        key = str(step.key or "")
        return self._outcomes.get(key) or Outcome(name=step.name, key=key, line=step.line, state=state)

    def explained(self, step: Step) -> Explained:
        fields, was = flat(step, self.last), self._before(step)
        before = flat(was, self.previous) if was is not None and self.previous is not None else None
        differing = differences(before, fields) if before is not None else []
        return Explained(step, self.outcome(step), fields, before, differing)

    def files(self, step: Step) -> Iterator[Change]:
        """What changed in what a step reads, as far as that is known."""
        was = self._before(step)
        for old, new in zip(was.listings if was is not None else (), step.listings, strict=False):
            if old != new:
                try:
                    yield from changes(read(self._traces.listing(old)), read(self._traces.listing(new)))
                except CacheFault:
                    continue

    def _before(self, step: Step) -> Step | None:
        return self._pairs.get(id(step))

    def _paired(self) -> dict[int, Step]:
        if self.previous is None:
            return {}
        old, new = self.previous.steps, self.last.steps
        pairs = aligned([step.place for step in old], [step.place for step in new])
        return {id(new[now]): old[before] for now, before in pairs.items() if old[before].key is not None}
