"""Refusal: an answer of the proxy itself, in place of a server's."""

from __future__ import annotations


class Refusal(Exception):
    """status: of HTTP. reason: a line for who asked. why: a word or two of what the record says, as BuildKit's."""

    def __init__(self, status: int, reason: str, why: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.why = status, reason, why
