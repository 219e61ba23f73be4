"""Flags of instructions (`--name=value`): which there are, checked in BuildKit's words (instructions/bflag.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from frontends.errors import ParseFault
from frontends.text import did_you_mean

BOOL, TEXT, MANY = "bool", "text", "many"


class Flags:
    """The flags given to one instruction, checked against those it knows: name -> BOOL, TEXT or MANY."""

    def __init__(self, given: Iterable[str], known: Mapping[str, str]) -> None:
        """Raises ParseFault on a flag that is unknown, repeated, or has no or a wrong value."""
        self._values: dict[str, list[str]] = {}
        for flag in given:
            written, equals, value = flag.partition("=")
            name = written[2:]
            if name not in known:
                raise ParseFault(f"unknown flag: {written}{did_you_mean(name, known)}", _hint(known))
            if name in self._values and known[name] != MANY:
                raise ParseFault(f"duplicate flag specified: {written}")
            if (not equals) != (known[name] == BOOL and not equals) or (known[name] == BOOL and equals and not value):
                raise ParseFault(f"missing a value on flag: {written}")
            if known[name] == BOOL and value.lower() not in ("true", "false", ""):
                raise ParseFault(f"expecting boolean value for flag {written}, not: {value}")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        return self._values[name][0] if name in self._values else default

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """The value of a bool flag, None where it was not given."""
        return self._values[name][0].lower() != "false" if name in self._values else None


def _hint(known: Mapping[str, str]) -> str:
    if not known:
        return "this instruction takes no flags"
    return "it takes " + ", ".join(f"--{name}" for name in sorted(known))
