"""Requests: what a step asked the proxy for, in the order of asking."""

from __future__ import annotations

import threading

import msgspec

_MOST = 10_000  # of one step; further ones are only counted


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """url: without what is secret in it. status: 0 where there was no answer. size: bytes of the answer's body.

    digest: `sha256:<hex>` of the whole body of a GET that succeeded. incomplete: why there is none, as BuildKit has it.
    """

    method: str
    url: str
    status: int = 0
    size: int = 0
    digest: str = ""
    incomplete: str = ""

    @property
    def line(self) -> str:
        """As BuildKit shows it."""
        return f"- {self.method} {self.url}" + (f" -> {self.status}" if self.status else "")


class Requests:
    """Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._known: dict[int, Request] = {}

    def add(self, request: Request) -> int:
        """Note a request, as it would be told of if nothing more came of it; its number."""
        with self._lock:
            self._next += 1
            if self._next <= _MOST:
                self._known[self._next] = request
            return self._next

    def replace(self, number: int, request: Request) -> None:
        """Note what came of it."""
        with self._lock:
            if number in self._known:
                self._known[number] = request

    def all(self) -> tuple[Request, ...]:
        with self._lock:
            return tuple(self._known[number] for number in sorted(self._known))

    @property
    def more(self) -> int:
        """How many there were that are not kept."""
        return max(self._next - _MOST, 0)
