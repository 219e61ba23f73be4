"""Held: what small files held when they were hashed, until they are packed, so that each is opened once."""

from __future__ import annotations

import threading

_SMALL, _ALL = 16 << 10, 16 << 20  # bytes of one file, and of all together


class Held:
    """Bytes by path, never more than a bound; what finds no room is read again. For many threads."""

    def __init__(self, room: int = _ALL) -> None:
        self._data: dict[bytes, bytes] = {}
        self._room = room
        self._lock = threading.Lock()

    def hold(self, path: bytes, data: bytes) -> None:
        with self._lock:
            if len(data) <= min(_SMALL, self._room) and path not in self._data:
                self._data[path] = data
                self._room -= len(data)

    def let_go(self, path: bytes) -> bytes | None:
        """What is held of a file; nothing afterwards."""
        with self._lock:
            data = self._data.pop(path, None)
            self._room += len(data or b"")
        return data
