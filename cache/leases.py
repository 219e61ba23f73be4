"""Leases: what running commands use, so that prune leaves it alone: locks on single bytes of ROOT/leases.

A thing has the byte whose number is the begin of its digest. The locks are those of open file descriptions (fcntl(2),
F_OFD_SETLK): nothing is written for one, and the kernel takes them away with the process, however that ends.

Two rules make a deletion beside running commands safe:

1. Who will read a thing, or give it a name, first holds it (shared), then looks whether it is there.
2. Who deletes it has it alone, which is never waited for, then looks whether anything names it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cache.digest import Digest

_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length, pid (0 for this kind of lock)
_DIGITS = 15  # of the digest: 60 bits, since an offset has 63; two things with one byte only wait for each other


class Leases:
    """path: of the file, made when first needed. One object is one holder; safe for many threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._held: set[Digest] = set()
        self._lock = threading.Lock()

    def hold(self, *things: Digest) -> None:
        """From now until close() nobody deletes them. Waits for a deletion that is under way."""
        for thing in things:
            if thing not in self._held:
                fcntl.fcntl(self._open(), fcntl.F_OFD_SETLKW, _byte(thing, fcntl.F_RDLCK))
                self._held.add(thing)

    @contextmanager
    def alone(self, things: Iterable[Digest]) -> Iterator[set[Digest]]:
        """Those of the things that nobody holds; nobody can hold them while the block lasts.

        To be asked of an object that holds nothing itself.
        """
        got: set[Digest] = set()
        try:
            for thing in things:
                try:
                    fcntl.fcntl(self._open(), fcntl.F_OFD_SETLK, _byte(thing, fcntl.F_WRLCK))
                    got.add(thing)
                except BlockingIOError:
                    continue
            yield got
        finally:
            for thing in got:
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _byte(thing, fcntl.F_UNLCK))

    def is_held(self, thing: Digest) -> bool:
        """Whether another object holds it, in this process or another one."""
        found: bytes = fcntl.fcntl(self._open(), fcntl.F_OFD_GETLK, _byte(thing, fcntl.F_WRLCK))
        return bool(struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK)

    def __contains__(self, thing: object) -> bool:
        return thing in self._held

    def close(self) -> None:
        """Let go of everything; the object can be used again."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                self._held.clear()

    def _open(self) -> int:
        if self._fd < 0:
            with self._lock:
                if self._fd < 0:
                    self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd


def _byte(thing: Digest, kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, int(thing.hex[:_DIGITS], 16), 1, 0)
