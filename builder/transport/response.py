"""Response: the answer to a request, its body still to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from builder.errors import TransportFault
from builder.transport.address import shown


class Body(Protocol):
    """What the border gives."""

    status: int
    headers: Mapping[str, str]

    def chunks(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Response:
    """status, headers (names in any case), url: where it came from in the end, without userinfo."""

    def __init__(self, body: Body, url: str) -> None:
        self._body = body
        self.status = body.status
        self.headers = body.headers
        self.url = url

    def chunks(self) -> Iterator[bytes]:
        """The body as it was sent, never decompressed, in pieces of any size. Once; raises TransportFault."""
        return self._body.chunks()

    def read(self, limit: int) -> bytes:
        """The whole body; TransportFault as soon as it is larger than limit bytes."""
        parts: list[bytes] = []
        left = limit
        for data in self.chunks():
            left -= len(data)
            if left < 0:
                raise TransportFault(f"{shown(self.url)}: the answer is larger than {limit} bytes")
            parts.append(data)
        return b"".join(parts)

    @property
    def length(self) -> int | None:
        """Bytes of the body as its header says, None where it does not."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
