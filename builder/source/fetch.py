"""Fetch: the layers of an image on their way, some at once; whoever wants one waits for that one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from builder.errors import Canceled
from builder.layer.layer import Layer
from cache.digest import Digest

_AT_ONCE = 3  # layers, as Docker has it


class Fetch:
    """Begins when it is made, in the order given. The first failure ends the others, and is what all waits raise."""

    def __init__(
        self,
        layers: Iterable[Layer],
        take: Callable[[Layer, threading.Event], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """take: stores a layer, and stops soon once the event is set. done: called when all are here."""
        self._take, self._done = take, done
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failed: BaseException | None = None
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pull")
        listed = list(layers)
        self._left = len(listed)
        self._work = {layer.blob.digest: self._pool.submit(self._one, layer) for layer in listed}

    @property
    def ended(self) -> bool:
        """Whether nothing of it is under way any more."""
        return all(work.done() for work in self._work.values())

    def wait(self, digest: Digest) -> None:
        """Until that layer is here."""
        work = self._work[digest]
        wait((work,))
        if work.cancelled() or work.exception() is not None:
            self._raise()
            raise Canceled("canceled")

    def all(self) -> None:
        """Until every layer is here."""
        wait(self._work.values(), return_when=FIRST_EXCEPTION)
        self._raise()

    def close(self) -> None:
        """End what is under way; returns when nothing runs any more."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, layer: Layer) -> None:
        try:
            self._take(layer, self._stop)
        except BaseException as error:
            with self._lock:
                self._failed = self._failed or error
            self._stop.set()
            raise
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self._done()

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed
