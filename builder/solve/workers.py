"""Workers: threads that look at sources and run steps, and tell the scheduler's own thread what came of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import msgspec

from builder.errors import LostResult
from builder.graph.event import Event, Missed
from builder.graph.operation import GitSource, HttpSource
from builder.solve import result
from builder.solve.executor import Executor, Task
from builder.solve.lookup import Lookup
from builder.solve.result import Result
from builder.solve.turns import Turns, shaped_on
from builder.solve.uninterrupted import Uninterrupted
from cache.digest import Digest
from cache.store import Store
from cache.waiting import LOOK

Clock = Callable[[], float]


class Outcome(msgspec.Struct):
    """What a thread reports.

    stage: identified or measured; of a step: failed, found (another build's), or tree and then packed.
    """

    vertex: Digest
    stage: str
    contents: tuple[Digest, ...] = ()
    error: BaseException | None = None


class Workers:
    """A thread for each task. now: the time that results are filed with. why: as in Scheduler."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        lookup: Lookup,
        turns: Turns,
        emit: Callable[[Event], None],
        clock: Clock,
        now: float,
        why: Callable[[Task], str],
    ) -> None:
        self._store = store
        self._executor = executor
        self._lookup = lookup
        self._turns = turns
        self._emit = emit
        self._clock = clock
        self._now = now
        self._why = why
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()  # None: look up
        self._tasks = 0

    @property
    def busy(self) -> bool:
        """Whether something is still to be told."""
        return self._tasks > 0

    def identify(self, task: Task) -> None:
        """Look up what a URL or a git reference stands for."""
        self._begin(task, self._identified)

    def measure(self, task: Task) -> None:
        """Digest what a step selects of what it reads."""
        self._begin(task, self._measured)

    def step(self, task: Task, name: str) -> None:
        """Perform it, unless another build turns out to have. name: as people know it."""
        self._begin(task, lambda task: self._performed(task, name))

    def next(self) -> Outcome:
        """The next outcome, waited for. A Ctrl-C ends that, also one that comes while Python is about to wait."""
        while True:
            with Uninterrupted(lambda: self._outcomes.put(None)):
                outcome = self._waited()
                if outcome is not None and outcome.stage != "tree":  # after which the same thread still packs
                    self._tasks -= 1
            if outcome is not None:
                return outcome

    def _waited(self) -> Outcome | None:
        try:
            return self._outcomes.get(timeout=LOOK)
        except queue.Empty:
            return None

    def _begin(self, task: Task, work: Callable[[Task], Outcome]) -> None:
        name = f"step-{task.digest.short}"
        thread = threading.Thread(target=lambda: self._outcomes.put(work(task)), name=name, daemon=True)
        with Uninterrupted():
            thread.start()
            self._tasks += 1

    def _identified(self, task: Task) -> Outcome:
        source = task.vertex.operation
        assert isinstance(source, HttpSource | GitSource)
        try:
            return Outcome(task.digest, "identified", contents=(self._executor.identify(source),))
        except BaseException as error:
            return Outcome(task.digest, "identified", error=error)

    def _measured(self, task: Task) -> Outcome:
        try:
            return Outcome(task.digest, "measured", contents=self._executor.measure(task))
        except BaseException as error:
            return Outcome(task.digest, "measured", error=error)

    def _performed(self, task: Task, name: str) -> Outcome:
        """The last that is to be said of a step."""
        assert task.stratum is not None
        stage = "failed"
        try:
            key = self._lookup.key(task.digest)
            assert key is not None
            with self._turns.turn(task, key) as found:
                if found is None:
                    why = self._why(task)
                    if why:
                        self._emit(Missed(task.digest, why, self._clock()))
                    self._prove(task)
                    pack = self._executor.perform(task)
                    stage = "packed"
                    self._outcomes.put(Outcome(task.digest, "tree"))
                    found = Result(pack(), shaped_on(task), task.stratum.files, task.stratum.form)
                    result.file(self._store, key, found, self._now, name)
                else:
                    stage = "found"
                task.stratum.files, task.stratum.form = found.files, found.form
                task.stratum.pack_done(found.layer)
            return Outcome(task.digest, stage)
        except BaseException as error:
            task.stratum.pack_done(None)
            return Outcome(task.digest, stage, error=error)

    def _prove(self, task: Task) -> None:
        """Nothing is filed under a key that is made of what others say. Raises LostResult where they are wrong."""
        told = self._lookup.told(task.digest)
        if told is not None and self._executor.measure(task) != told:
            self._lookup.refute(task.digest)
            raise LostResult("what a cache says of a selection is wrong", "build again: it is looked at")
