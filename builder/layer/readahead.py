"""ReadAhead: a stream that a thread of its own reads, while what came of it is worked on here."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType

from builder.layer.tarread import Readable

WORTH = 1 << 20  # bytes of a stream that are worth a thread
_PIECE = 256 << 10
_AHEAD = 16  # pieces that may lie between the two


class ReadAhead:
    """read() gives the bytes in order, b"" at the end; what the stream raises, it raises. Use as a context manager."""

    def __init__(self, stream: Readable, note: Callable[[bytes], object] = lambda data: None) -> None:
        """note: called with each piece, by the thread that reads."""
        self._stream, self._note = stream, note
        self._pieces: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._rest = memoryview(b"")
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._pieces.get(timeout=0.05)
            except queue.Empty:
                continue

    def read(self, size: int, /) -> bytes:
        if not self._rest and not self._ended:
            piece = self._pieces.get()
            if isinstance(piece, BaseException):
                self._ended = True
                raise piece
            self._rest, self._ended = memoryview(piece), not piece
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                data = self._stream.read(_PIECE)
                self._note(data)
                self._pieces.put(data)
                if not data:
                    return
        except BaseException as error:
            self._pieces.put(error)
