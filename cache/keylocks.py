"""KeyLocks: which keys something is being made for, in any process of this machine: a lock on a file named by the key.

The kernel takes a lock away with its process (flock(2)), so a maker that was killed keeps nobody waiting. A file is
deleted by whoever holds its lock; who gets the lock of a file that has lost its name meanwhile tries again.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from cache.digest import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future


class KeyLock:
    """Held until the block ends."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd, self._path = fd, path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            os.unlink(self._path)
        os.close(self._fd)


class KeyLocks:
    """folder: an existing one. Safe for many threads, which exclude each other like processes do."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._waits: set[Future[int]] = set()
        self._canceled = False
        self._guard = threading.Lock()

    def take(self, key: Digest, waiting: Callable[[], None]) -> KeyLock | None:
        """The lock of a key, waited for; None if cancel() came first. OSError.

        waiting: called once, if another has it.
        """
        path = os.path.join(self._folder, key.hex)
        said = False
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not lock_now(fd):
                if not said:
                    waiting()
                    said = True
                if not self._wait(fd):
                    return None
            if is_named(fd, path):
                return KeyLock(fd, path)
            os.close(fd)

    def cancel(self) -> None:
        """End all waiting, now and later."""
        with self._guard:
            self._canceled = True
            for turn in self._waits:
                turn.cancel()

    def _wait(self, fd: int) -> bool:
        """Whether the lock came before cancel(); else the descriptor is closed, or will be."""
        from concurrent.futures import CancelledError, Future

        turn: Future[int] = Future()
        with self._guard:
            self._waits.add(turn)
            if self._canceled:
                turn.cancel()
        # flock(2) ends for nothing but the lock or a signal: it gets a thread that may be left behind.
        threading.Thread(target=_lock_later, args=(fd, turn), name="key-lock", daemon=True).start()
        try:
            turn.result()
        except CancelledError:
            return False
        finally:
            with self._guard:
                self._waits.discard(turn)
        return True


def lock_now(fd: int) -> bool:
    """Lock a file alone, if nobody else has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_named(fd: int, path: str) -> bool:
    """Whether an open file is still what the path names."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _lock_later(fd: int, turn: Future[int]) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if turn.set_running_or_notify_cancel():
            turn.set_exception(error)
        os.close(fd)
        return
    if turn.set_running_or_notify_cancel():
        turn.set_result(fd)
    else:
        os.close(fd)
