"""Tracing: a running build compared with earlier ones, to say why steps are missed, and kept for the next.

Imported when the first step is missed; a build that finds all in the cache does not need it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice

import msgspec
from msgspec.structs import replace

from builder.graph.graph import BuildGraph, Vertex
from builder.graph.inputs import keyed_by, selections, shaped_by
from builder.graph.key import Key
from builder.graph.operation import Exec, FileSource, GitSource, HttpSource, ImageSource, LocalSource
from builder.solve.lookup import Lookup
from builder.solve.result import Result
from builder.trace import listing
from builder.trace.changes import Summary, changes, summed_up
from builder.trace.mask import Mask, shown
from builder.trace.reasons import Earlier, Reasons
from builder.trace.step import Read, Step, place
from builder.trace.trace import Outcome, Trace
from builder.trace.traces import Traces
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault
from cache.store import Store

_HELD = 200_000  # members of a selection that are kept in memory while they are compared
Members = Callable[[Digest], list[Iterator[listing.Member]] | None]


class Words(msgspec.Struct, frozen=True):
    """What only those who read the Dockerfile know. what: it is called. env: `NAME=value`, of build arguments.

    variable(name): ARG or ENV, "" if the Dockerfile sets no such variable. secret(name): whether its value is not to
    be shown. fresh(vertex): the option that makes a step run anew, or "".
    """

    what: str
    env: tuple[str, ...]
    variable: Callable[[str], str]
    secret: Callable[[str], bool]
    fresh: Callable[[Digest], str]


class Tracing:
    """about: the trace of this build without its steps. members(vertex): see LocalExecutor.

    Safe for many threads.
    """

    def __init__(
        self,
        traces: Traces,
        about: Trace,
        graph: BuildGraph,
        targets: Sequence[Digest],
        lookup: Lookup,
        store: Store,
        members: Members,
        words: Words,
    ) -> None:
        self._traces, self._about, self._graph, self._targets = traces, about, graph, targets
        self._lookup, self._store, self._members, self._words = lookup, store, members, words
        env = [one for v in graph.vertices.values() if isinstance(v.operation, Exec) for one in v.operation.env]
        self._mask = Mask(words.secret, (*words.env, *env))
        self._lock = threading.Lock()
        self._compared_with = traces
        self._steps: dict[Digest, Step] = {}
        self._measured: dict[Digest, list[listing.Member]] = {}  # while a reason is sought
        self._reasons: Reasons | None = None

    def why(self, vertex: Digest) -> str:
        """Why a step that is about to run was not in the cache, in one line."""
        with self._lock:
            step = self._step(vertex)
        if step is None:
            return ""
        self._list(vertex, step)
        with self._lock:
            why = self._why(vertex, step)
        for name in step.listings:
            self._measured.pop(name, None)
        return why

    def save(self, fingerprint: str, outcomes: tuple[Outcome, ...]) -> None:
        """Keep what this build was made of, as far as that is known. OSError."""
        with self._lock:
            trace = replace(self._about, steps=tuple(self._all()))
        self._traces.save(fingerprint, trace, outcomes)

    def _all(self) -> Iterator[Step]:
        for vertex in self._graph.needed(self._targets):
            if not isinstance(self._graph.vertices[vertex].operation, FileSource):
                yield self._step(vertex) or Step(name=self._name(vertex), line=self._line(vertex))

    def masked(self, text: str) -> str:
        """A text without secrets."""
        return shown(self._mask.text(text))

    def _why(self, vertex: Digest, step: Step) -> str:
        reasons = self._reasons = self._reasons or self._compared()
        parents = shaped_by(self._graph.vertices[vertex])
        fresh = self._words.fresh(vertex)
        assert step.key is not None
        if fresh:
            return reasons.remade(vertex, step.name, fresh)
        stored = self._store.index.result(step.key)
        found = record.recall(stored, Result)
        if found is None:
            return reasons.why(vertex, step, keyed_by(self._graph.vertices, self._graph.vertices[vertex]))
        if not self._store.blobs.has(found.layer.blob.digest, found.layer.blob.size):
            text = f"its layer sha256:{found.layer.blob.digest.short} is missing or damaged"
            return reasons.remade(vertex, step.name, text)
        other = next((p for p, was, now in zip(parents, found.on, self._on(vertex), strict=False) if was != now), None)
        if other is None:
            return ""
        name = self._name(other)
        return reasons.remade(vertex, step.name, reasons.of_parent(other, name))

    def _on(self, vertex: Digest) -> tuple[Digest, ...]:
        return self._lookup.made_on(self._graph.vertices[vertex]) or ()

    def _compared(self) -> Reasons:
        needed = list(self._graph.needed(self._targets))
        images = {v: self._step(v) for v in needed if isinstance(self._graph.vertices[v].operation, ImageSource)}
        steps = [v for v in needed if not isinstance(self._graph.vertices[v].operation, FileSource)]
        if not self._traces.names():
            self._compared_with = self._traces.elsewhere(self._is_like)
        traces = self._compared_with
        loaded = ((name, traces.load(name)) for name in traces.names())
        return Reasons(
            [Earlier.of(trace, traces.outcomes(name)) for name, trace in loaded if trace is not None],
            {v: (self._name(v), self._lookup.key(v)) for v in steps},
            {v: step for v, step in images.items() if step is not None},
            self._words.what,
            self._changed,
            self._words.variable,
            self._words.secret,
        )

    def _is_like(self, trace: Trace) -> bool:
        """Whether it may be the same in another place: another runner's workspace, another user's."""
        names = [(os.path.basename(one.file), os.path.basename(one.context)) for one in (trace, self._about)]
        if names[0] != names[1] or (trace.target, trace.platforms) != (self._about.target, self._about.platforms):
            return False
        ours = {place(self._name(vertex)).text for vertex in self._graph.needed(self._targets)}
        theirs = {step.place.text for step in trace.steps if step.kind != "image"}
        return 2 * len(ours & theirs) >= len(theirs)

    def _changed(self, before: Digest, now: Digest) -> Summary | None:
        old = listing.read(self._compared_with.listing(before))
        new = self._measured.get(now) or listing.read(self._traces.listing(now))
        try:
            return summed_up(changes(old, new))
        except CacheFault:
            return None

    def _list(self, vertex: Digest, step: Step) -> None:
        """Keep the listings of what a step was measured to read."""
        for name, members in zip(step.listings, self._members(vertex) or (), strict=False):
            if not self._traces.has_listing(name):
                held = list(islice(members, _HELD))
                if len(held) < _HELD:
                    self._measured[name] = held
                with suppress(OSError):  # without it, the next build says less
                    self._traces.make()
                    listing.write(self._traces.listing(name), chain(held, members), self._traces.temp)

    def _step(self, vertex: Digest) -> Step | None:
        """None while its key is not known, and for what has none."""
        known = self._steps.get(vertex)
        operation = self._graph.vertices[vertex].operation
        if known is not None or isinstance(operation, FileSource):
            return known
        made, key = self._lookup.made_of(vertex), self._lookup.key(vertex)
        if made is None or key is None:
            return None
        step = self._steps[vertex] = Step(
            name=self._name(vertex),
            line=self._line(vertex),
            key=key,
            fields=self._fields(made, operation if isinstance(operation, ImageSource) else None),
            parents=made.parents,
            contents=made.contents,
            reads=tuple(self._reads(self._graph.vertices[vertex])),
        )
        return step

    def _fields(self, key: Key, image: ImageSource | None) -> dict[str, object]:
        """image: of a base, whose manifest is in no key and yet is what people know it by."""
        plain = msgspec.to_builtins(image or key.operation, enc_hook=str)
        return self._mask.fields(plain)

    def _reads(self, vertex: Vertex) -> Iterator[Read]:
        for selection in selections(vertex.operation):
            source = vertex.inputs[selection.input]
            operation = self._graph.vertices[source].operation
            if isinstance(operation, LocalSource):
                yield Read(operation.name, local=True)
            elif isinstance(operation, HttpSource):
                yield Read(self._mask.text(operation.url))
            elif isinstance(operation, GitSource):
                yield Read(self._mask.text("#".join(filter(None, (operation.remote, operation.ref)))))
            else:
                yield Read(self._name(source))

    def _line(self, vertex: Digest) -> int:
        info = self._graph.info.get(vertex)
        return info.span.first if info is not None and info.span is not None else 0

    def _name(self, vertex: Digest) -> str:
        info = self._graph.info.get(vertex)
        return self._mask.text(info.name) if info is not None else type(self._graph.vertices[vertex].operation).__name__
