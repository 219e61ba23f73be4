"""Scheduler: one thread owns all state, asks the store, starts what is missing, and gathers outcomes.

A vertex goes through: demanded -> (measured, if its key needs the content of a source) -> cached, or: waiting for
what it stands on and reads -> running -> its tree is there (what waits for it may go on) -> packed (its layer is in
the store). Only what the target needs is demanded; what is cached demands nothing but the layers below it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from builder.errors import Canceled, StepFault
from builder.graph.event import Cached, Event, Failed, Finished, Started
from builder.graph.graph import BuildGraph, Vertex
from builder.graph.inputs import read_by_path, root_of, standing_on
from builder.graph.operation import FileSource, GitSource, HttpSource, ImageSource, LocalSource
from builder.layer.layer import Layer
from builder.solve.executor import Executor, Task
from builder.solve.imported import Imported
from builder.solve.lookup import Lookup
from builder.solve.stratum import Stratum
from builder.solve.turns import Turns
from builder.solve.workers import Clock, Outcome, Workers
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store

_AT_LEAST = 8  # steps that may run at once on few cores: many only wait, for a network or a disk


class _Node:
    """What the scheduler knows of a demanded vertex."""

    __slots__ = ("done", "measuring", "stratum", "submitted", "waiting")

    def __init__(self) -> None:
        self.waiting: set[Digest] = set()
        self.submitted = False
        self.measuring = False
        self.done = False  # its tree can be used
        self.stratum: Stratum | None = None


class Scheduler:
    """Runs one graph once. base_layers: of each ImageSource, by its vertex.

    forget(vertex): whether to find no result for it (--no-cache). imported: what other machines made.
    why(task): a line on why the store did not have a step that is about to run; "" for nothing, called by its worker.
    stored(vertex, layer): told of each step whose layer is found or packed. at_once: steps, None for what suits.
    """

    def __init__(
        self,
        graph: BuildGraph,
        store: Store,
        executor: Executor,
        base_layers: Callable[[ImageSource], tuple[Layer, ...]],
        emit: Callable[[Event], None],
        clock: Clock,
        now: float,
        forget: Callable[[Digest], bool] = lambda vertex: False,
        imported: Imported | None = None,
        stored: Callable[[Digest, Layer], None] = lambda vertex, layer: None,
        why: Callable[[Task], str] = lambda task: "",
        at_once: int | None = None,
    ) -> None:
        self._graph = graph
        self._store = store
        self._executor = executor
        self._base_layers = base_layers
        self._emit = emit
        self._clock = clock
        self._now = now
        self._stored = stored
        self.lookup = self._lookup = Lookup(graph, store, self._packed_layer, forget, imported)
        self._turns = Turns(store, forget, emit, clock)
        self._workers = Workers(store, executor, self._lookup, self._turns, emit, clock, now, why)
        self._nodes: dict[Digest, _Node] = {}
        self._bases: dict[Digest, tuple[Stratum, ...]] = {}
        self._dependents: dict[Digest, list[Digest]] = {}
        self._ready: deque[Digest] = deque()
        self._limit = at_once or max(_AT_LEAST, 2 * (os.cpu_count() or 1))
        self._slots = 0
        self._canceled = threading.Event()
        self._by_key: dict[Digest, Digest] = {}

    def run(self, *targets: Digest) -> None:
        """Make the layers of the targets' whole chains. Raises the first failure, after everything has stopped."""
        failure: BaseException | None = None
        try:
            self._lookup.settle(*targets)
            for target in targets:
                self._demand(target)
            self._start_ready()
            while self._workers.busy:
                failure = self._take(self._workers.next()) or failure
                if failure is not None:
                    break
                self._start_ready()
        except BaseException as error:
            failure = error
        if failure is not None:
            self._stop()
            self._lookup.remember()
            raise failure
        assert all(self._nodes[target].done for target in targets)
        self._lookup.remember()
        self._store.index.touch_results(self._lookup.found(), self._now)

    def stack(self, vertex: Digest) -> tuple[Stratum, ...]:
        """The layers of a vertex's tree, bottom first."""
        layers: list[tuple[Stratum, ...]] = []
        at: Digest | None = vertex
        while at is not None:
            own = self._nodes[at].stratum
            layers.append(self._bases.get(at, (own,) if own else ()))
            at = root_of(self._graph.vertices[at])
        return tuple(stratum for part in reversed(layers) for stratum in part)

    def made(self, vertex: Digest) -> Stratum | None:
        """The layer of a step that was looked at, as far as there is one by now."""
        node = self._nodes.get(vertex)
        return node.stratum if node is not None else None

    def _demand(self, target: Digest) -> None:
        chain = [target]
        while (below := root_of(self._graph.vertices[chain[-1]])) is not None and below not in self._nodes:
            chain.append(below)
        for digest in reversed(chain):
            if digest not in self._nodes:
                self._nodes[digest] = _Node()
                self._advance(digest)

    def _advance(self, digest: Digest) -> None:
        node, vertex = self._nodes[digest], self._graph.vertices[digest]
        if node.done or node.submitted or node.measuring:
            return
        if isinstance(vertex.operation, ImageSource):
            self._show_image(digest, vertex.operation)
            return
        if isinstance(vertex.operation, LocalSource):
            node.done = True
            return
        if isinstance(vertex.operation, HttpSource | GitSource):
            node.submitted = True
            self._emit(Started(digest, self._name(digest), self._clock()))
            self._workers.identify(self._task(digest))
            return
        key = self._lookup.key(digest)
        if key is None:
            if self._lookup.contents(digest) is None:
                self._measure(digest, vertex)
            else:
                self._require(digest, standing_on(vertex))
            return
        if self._hit(digest, key):
            return
        self._require(digest, (*standing_on(vertex), *read_by_path(vertex)))
        if not node.waiting:
            node.submitted = True
            self._by_key[key] = digest  # not before: what waits for it must not be what it waits for
            self._lookup.miss(digest)
            self._ready.append(digest)

    def _show_image(self, digest: Digest, operation: ImageSource) -> None:
        self._emit(Started(digest, self._name(digest), self._clock()))
        self._bases[digest] = tuple(Stratum(layer) for layer in self._base_layers(operation))
        self._emit(Finished(digest, self._clock()))
        self._tree_ready(digest)

    def _measure(self, digest: Digest, vertex: Vertex) -> None:
        self._require(digest, read_by_path(vertex))
        if not self._nodes[digest].waiting:
            self._nodes[digest].measuring = True
            self._workers.measure(self._task(digest))

    def _hit(self, digest: Digest, key: Digest) -> bool:
        """Whether a step need not run. A linked copy may be found before what it stands on, and is not whole then."""
        twin = self._by_key.get(key)  # equal work by another definition that has begun: share what it makes
        found = self._lookup.result(digest) if twin is None else None
        if twin is None and found is None:
            return False
        self._require(digest, self._below(digest) if twin is None else (twin, *self._below(digest)))
        if self._nodes[digest].waiting:
            return True
        if twin is not None:
            self._nodes[digest].stratum = self._nodes[twin].stratum
        elif found is not None:
            self._nodes[digest].stratum = Stratum(found.layer, found.files, found.form)
            self._stored(digest, found.layer)
        self._emit(Cached(digest, self._name(digest), self._clock()))
        self._tree_ready(digest)
        return True

    def _below(self, digest: Digest) -> tuple[Digest, ...]:
        root = root_of(self._graph.vertices[digest])
        return () if root is None else (root,)

    def _require(self, digest: Digest, inputs: tuple[Digest, ...]) -> None:
        """Wait for the trees of inputs, and demand them."""
        node = self._nodes[digest]
        for one in inputs:
            self._demand(one)
            if not self._nodes[one].done and one not in node.waiting:
                node.waiting.add(one)
                self._dependents.setdefault(one, []).append(digest)

    def _tree_ready(self, digest: Digest) -> None:
        self._nodes[digest].done = True
        for waiting in self._dependents.pop(digest, ()):
            node = self._nodes[waiting]
            node.waiting.discard(digest)
            if not node.waiting:
                self._advance(waiting)

    def _start_ready(self) -> None:
        while self._ready and self._slots < self._limit:
            digest = self._ready.popleft()
            self._nodes[digest].stratum = Stratum()
            self._emit(Started(digest, self._name(digest), self._clock()))
            self._slots += 1
            task = self._task(digest)
            self._executor.prepare(task)
            self._workers.step(task, self._name(digest))

    def _task(self, digest: Digest) -> Task:
        vertex = self._graph.vertices[digest]
        below = root_of(vertex)
        return Task(
            digest=digest,
            vertex=vertex,
            below=self.stack(below) if below is not None else (),
            reads={i: self.stack(i) for i in vertex.inputs if i in self._nodes},
            files={i: op for i in vertex.inputs if isinstance(op := self._graph.vertices[i].operation, FileSource)},
            stratum=self._nodes[digest].stratum,
        )

    def _packed_layer(self, digest: Digest) -> Layer | None:
        node = self._nodes.get(digest)
        return node.stratum.layer if node is not None and node.stratum is not None else None

    def _take(self, outcome: Outcome) -> BaseException | None:
        node = self._nodes[outcome.vertex]
        if outcome.stage in ("tree", "found", "failed"):
            self._slots -= 1
        if outcome.error is not None:
            self._fail(outcome, outcome.error)
            return _placed(outcome.vertex, outcome.error)
        if self._canceled.is_set():
            return None
        if outcome.stage == "identified":
            self._lookup.identify(outcome.vertex, *outcome.contents)
            self._emit(Finished(outcome.vertex, self._clock()))
            self._tree_ready(outcome.vertex)
        elif outcome.stage == "measured":
            node.measuring = False
            self._lookup.learn(outcome.vertex, outcome.contents)
            self._advance(outcome.vertex)
        elif outcome.stage == "found":
            self._emit(Cached(outcome.vertex, self._name(outcome.vertex), self._clock()))
            self._tree_ready(outcome.vertex)
        elif outcome.stage == "tree":
            self._emit(Finished(outcome.vertex, self._clock()))
            self._tree_ready(outcome.vertex)
        if outcome.stage in ("found", "packed"):
            layer = self._packed_layer(outcome.vertex)
            assert layer is not None
            self._stored(outcome.vertex, layer)
        return None

    def _fail(self, outcome: Outcome, error: BaseException) -> None:
        if not self._nodes[outcome.vertex].submitted:  # its key could not be made: it was never announced
            self._emit(Started(outcome.vertex, self._name(outcome.vertex), self._clock()))
        canceled = isinstance(error, Canceled) or self._canceled.is_set()
        message = error.message if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
        self._emit(Failed(outcome.vertex, message, canceled, self._clock()))

    def _stop(self) -> None:
        """End what runs and wait for it; results that were already being packed are still filed."""
        self._canceled.set()
        self._executor.cancel()
        self._turns.cancel()
        while self._workers.busy:
            self._take(self._workers.next())

    def _name(self, digest: Digest) -> str:
        info = self._graph.info.get(digest)
        return info.name if info is not None else type(self._graph.vertices[digest].operation).__name__


def _placed(vertex: Digest, error: BaseException) -> BaseException:
    """The error with the step it came from, so that its place in the source can be shown."""
    if not isinstance(error, Fault) or isinstance(error, StepFault | Canceled):
        return error
    placed = StepFault(error.message, vertex, hint=error.hint)
    placed.__cause__ = error
    return placed
