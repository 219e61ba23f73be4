"""Turns: equal steps of several builds on one store are done by one of them, while the others wait for what it makes.

Nobody can wait in a circle. A lock is taken before a step is begun and kept until its result is filed, so whoever has
one is working. What a working step may still have to wait for is the packing of steps below it, which have their own
locks already, and a cache mount, whose holder is working, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builder.errors import Canceled
from builder.graph.event import Event, Transfer
from builder.graph.inputs import shaped_by
from builder.oci.chain import chain_id
from builder.solve import result
from builder.solve.executor import Task
from builder.solve.result import Result
from cache.digest import Digest
from cache.keylocks import KeyLocks
from cache.store import Store

WAITING = "waiting for another build that runs this step"


class Turns:
    """forget(vertex): whether a step is to be run whatever others make of it (--no-cache)."""

    def __init__(
        self,
        store: Store,
        forget: Callable[[Digest], bool],
        emit: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._store, self._forget, self._emit, self._clock = store, forget, emit, clock
        self._locks = KeyLocks(store.path("running"))

    @contextmanager
    def turn(self, task: Task, key: Digest) -> Iterator[Result | None]:
        """Hold a step while the block lasts; what it yields is the result that another build has filed meanwhile.

        Raises Canceled, OSError.
        """
        if self._forget(task.digest):
            yield None
            return
        lock = self._locks.take(key, lambda: self._emit(Transfer(task.digest, WAITING, 0, 0, self._clock())))
        if lock is None:
            raise Canceled("canceled")
        with lock:
            found = result.find(self._store, key)
            yield found if found is not None and found.on == shaped_on(task) else None

    def cancel(self) -> None:
        """Nobody waits any longer."""
        self._locks.cancel()


def shaped_on(task: Task) -> tuple[Digest, ...]:
    """The ChainIDs of the trees that shape what a step makes, waited for."""
    stacks = [task.reads[i] for i in shaped_by(task.vertex)]
    return tuple(chain_id(stratum.wait().diff_id for stratum in stack) for stack in stacks)
