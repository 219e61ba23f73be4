"""Download: the bytes of a blob, from the first of several places that gives them; a broken one is carried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from builder.errors import Interrupted, RegistryFault, TimedOut
from builder.oci.descriptor import Descriptor
from builder.registry.client import Client
from builder.transport.response import Response

_BREAKS = 20  # how often one blob may break off, if each try brings something


class Download:
    """read() until b""; raises RegistryFault where there are more or fewer bytes than the descriptor says.

    client: of the place it is at. The digest is for whoever takes the bytes to check. Use as a context manager.
    """

    def __init__(self, client: Client, blob: Descriptor, moved: Callable[[int], None]) -> None:
        """moved: told how many bytes came so far."""
        self._client, self._blob, self._moved = client, blob, moved
        self._stack = ExitStack()
        self._chunks: Iterator[bytes] | None = None
        self._data = memoryview(b"")
        self._at = 0
        self._opened = 0  # where we were when the answer began that is being read
        self._breaks = self._fruitless = 0

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, size: int, /) -> bytes:
        if not self._data:
            self._data = memoryview(self._next())
        part, self._data = self._data[:size], self._data[size:]
        return bytes(part)

    def _next(self) -> bytes:
        while True:
            began = self._at
            if self._chunks is None:
                self._chunks, self._opened = self._open(), began
            try:
                data = next(self._chunks, b"")
            except (Interrupted, TimedOut):
                self._reset()
                if not self._may_go_on():
                    raise
                continue
            self._at += len(data)
            if self._at > self._blob.size:
                raise RegistryFault(f"{self._name()} has more than the {self._blob.size} bytes it should have")
            if not data and self._at < self._blob.size:
                raise RegistryFault(f"{self._name()} has {began} bytes, not {self._blob.size}")
            self._moved(self._at)
            return data

    def _may_go_on(self) -> bool:
        """After a break. Tries that bring nothing are made as often, and as far apart, as requests are."""
        self._breaks += 1
        self._fruitless = 0 if self._at > self._opened else self._fruitless + 1
        if self._fruitless and not self._client.wait(self._fruitless):
            return False
        return self._breaks <= _BREAKS

    def _open(self) -> Iterator[bytes]:
        """From where we are; a server that knows no ranges sends all again, and what we have is passed over."""
        response = self._stack.enter_context(self._client.blob(self._blob.digest, self._at))
        return self._rest(response)

    def _rest(self, response: Response) -> Iterator[bytes]:
        skip = self._at if response.status == 200 else 0
        for data in response.chunks():
            if skip:
                cut = min(skip, len(data))
                skip -= cut
                data = data[cut:]
            if data:
                yield data

    def _reset(self) -> None:
        self._stack.close()
        self._stack = ExitStack()
        self._chunks = None

    def _name(self) -> str:
        return f"{self._client.place.registry}/{self._client.place.repository}: blob {self._blob.digest}"
