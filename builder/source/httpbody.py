"""HttpBody: the bytes that a URL gives; where they break off, the rest is asked for (RFC 9110, 13.1.5 and 14)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from builder.errors import Interrupted, SourceFault, TimedOut
from builder.transport.response import Response

BREAKS = 20
"""How often one file may break off."""

Ask = Callable[[Mapping[str, str]], AbstractContextManager[Response]]
"""A GET of the URL with more headers."""

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})\s*\Z", re.ASCII)


class Changed(SourceFault):
    """What was asked for is another file than the one whose beginning came: all has to be asked for again."""


class HttpBody:
    """first: the answer with the beginning. ask: for the rest. shown: the URL in errors."""

    def __init__(self, first: Response, ask: Ask, shown: str) -> None:
        self._first, self._ask, self._shown = first, ask, shown
        self._validator = _validator(first.headers)
        self._length = first.length
        self._whole = False
        self._at = 0
        self._breaks = 0

    def chunks(self) -> Iterator[bytes]:
        """All bytes, once. Raises TransportFault after BREAKS, Changed, SourceFault where there are too few or many."""
        yield from self._passed(self._first)
        while not self._whole:
            with self._ask({"range": f"bytes={self._at}-", "if-range": self._validator}) as response:
                found = _RANGE.match(response.headers.get("content-range", ""))
                if response.status != 206 or found is None or int(found[1]) != self._at:
                    raise Changed(f"{self._shown}: the file changed while it was read", "try again")
                self._length = int(found[2])
                yield from self._passed(response)
        if self._length is not None and self._at != self._length:
            raise SourceFault(f"{self._shown}: the answer ended after {self._at} of {self._length} bytes")

    def _passed(self, response: Response) -> Iterator[bytes]:
        """What one answer gives; ends early where it breaks off and can be carried on."""
        try:
            for data in response.chunks():
                self._at += len(data)
                yield data
            self._whole = True
        except (Interrupted, TimedOut):
            self._breaks += 1
            if self._breaks > BREAKS:
                raise
            if not self._validator:
                raise Changed(f"{self._shown}: the answer broke off after {self._at} bytes", "try again") from None


def _validator(headers: Mapping[str, str]) -> str:
    """What proves that the rest is of the same file: a strong ETag; "" where the server gives none."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else ""
