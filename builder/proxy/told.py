"""Told: what will be said of a request, while it is answered."""

from __future__ import annotations

import hashlib

from builder.proxy.requests import Request
from builder.proxy.wanted import Wanted


class Told:
    """status: 0 while there is none. whole: the answer came to its end. broken: why not, if that is known."""

    def __init__(self, asked: Wanted) -> None:
        self._get = asked.method == b"GET"
        self._ranged = any(name == b"range" for name, _ in asked.headers)
        self._hash = hashlib.sha256()
        self.status, self.size, self.whole, self.broken = 0, 0, False, ""

    def took(self, data: bytes) -> None:
        """Count a piece of the answer's body."""
        self.size += len(data)
        if self._get:
            self._hash.update(data)

    def request(self, method: str, url: str) -> Request:
        """url: as it is shown."""
        why = self._why()
        digest = f"sha256:{self._hash.hexdigest()}" if not why and 200 <= self.status < 300 else ""
        return Request(method=method, url=url, status=self.status, size=self.size, digest=digest, incomplete=why)

    def _why(self) -> str:
        """As BuildKit's provenance has it."""
        if self.broken:
            return self.broken
        if not self._get:
            return "method_not_materializable"
        if self._ranged or self.status == 206:
            return "partial_response"
        if not self.whole:
            return "body_read_failed"
        return "unsuccessful_response" if self.status >= 400 else ""
