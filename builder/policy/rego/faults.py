"""What ends an evaluation."""

from __future__ import annotations


class RegoError(Exception):
    """The policy's text, or what it does, is at fault. place: file and line."""

    def __init__(self, place: str, code: str, message: str) -> None:
        super().__init__(f"{place}: {code}: {message}" if place else f"{code}: {message}")


class Needed(Exception):
    """Fields of the input, `image.labels`, that are to be found out first."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


class Undefined(Exception):
    """A function has no value for these arguments."""
