"""Mask: keeps the values of variables that look like secrets out of what is kept and shown of a build.

A build argument is no place for a secret, but people put them there. What remains of a value is a mark that differs
if the value does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

_SHORTEST = 4  # characters: shorter values are words that stand anywhere
_MARK = re.compile(r"\*{3}[0-9a-f]{8}")
_USER = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class Mask:
    """secret(name): whether a variable's value is not to be shown. env: `NAME=value`, of the whole build."""

    def __init__(self, secret: Callable[[str], bool], env: Iterable[str]) -> None:
        self._secret = secret
        pairs = (entry.partition("=") for entry in env)
        values = {value for name, _, value in pairs if len(value) >= _SHORTEST and secret(name)}
        longest = sorted(values, key=lambda value: (-len(value), value))
        self._values = re.compile("|".join(map(re.escape, longest))) if longest else None

    def text(self, text: str) -> str:
        """The text with a mark wherever a secret stands in it, and with no byte that is not UTF-8."""
        text = _USER.sub(_mark, text)
        text = self._values.sub(_mark, text) if self._values is not None else text
        return text.encode("utf-8", "backslashreplace").decode()

    def entry(self, entry: str) -> str:
        """`NAME=value` of an environment."""
        name, equals, value = entry.partition("=")
        return f"{name}={mark(value)}" if equals and value and self._secret(name) else self.text(entry)

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """An operation's fields as plain values."""
        return {
            name: [self.entry(e) for e in value] if name == "env" else self._any(value)
            for name, value in fields.items()
        }

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self._any(one) for one in value]
        return {name: self._any(one) for name, one in value.items()} if isinstance(value, dict) else value


def mark(value: str) -> str:
    """What is kept of a secret value."""
    return f"***{hashlib.sha256(value.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def shown(text: str) -> str:
    """A masked text for a person: every mark alike."""
    return _MARK.sub("***", text)


def _mark(found: re.Match[str]) -> str:
    return mark(found[0])
