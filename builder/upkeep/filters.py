"""Which records `du` and `prune` are about: selectors as buildx takes them, all of which must match.

KEY=VALUE, KEY!=VALUE, KEY~=PATTERN; inuse, mutable, immutable, shared and private stand by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from builder.upkeep.usage import Usage
from cache.errors import Fault

_FLAGS: dict[str, Callable[[Usage], bool]] = {
    "inuse": lambda usage: usage.in_use,
    "mutable": lambda usage: usage.mutable,
    "immutable": lambda usage: not usage.mutable,
    "shared": lambda usage: usage.shared,
    "private": lambda usage: not usage.shared,
}
_FIELDS: dict[str, Callable[[Usage], str]] = {
    "id": lambda usage: usage.id,
    "parents": lambda usage: ";".join(usage.parents),
    "description": lambda usage: usage.description,
    "type": lambda usage: usage.type,
}
_AGES = ("until", "unused-for")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_KEYS = ", ".join(("until", *_FIELDS, *_FLAGS))


class _Selector(msgspec.Struct, frozen=True):
    """operator: == != ~= or "" for a flag, value then being `true` or `false`."""

    key: str
    operator: str
    value: str

    def matches(self, usage: Usage) -> bool:
        if self.key in _FLAGS:
            return _FLAGS[self.key](usage) == (self.value == "true")
        text = _FIELDS[self.key](usage)
        if self.operator == "~=":
            return re.search(self.value, text) is not None
        return (text == self.value) == (self.operator == "==")


class Filter(msgspec.Struct, frozen=True):
    """age: seconds that a record was not used for at least."""

    selectors: tuple[_Selector, ...] = ()
    age: float = 0.0

    def matches(self, usage: Usage, now: float) -> bool:
        """now: seconds since 1970."""
        if self.age and usage.used is not None and usage.used > now - self.age:
            return False
        return all(selector.matches(usage) for selector in self.selectors)


def parse_filter(texts: Iterable[str]) -> Filter:
    """Raises Fault."""
    selectors: dict[str, _Selector] = {}
    ages: dict[str, float] = {}
    for text in filter(None, texts):
        key, equals, value = (part.strip() for part in text.partition("="))
        key = key.lower()
        if key in _AGES:
            _once(key, ages, duration(value, f'"{key}" filter'))
        else:
            _once(key, selectors, _selector(key, bool(equals), value, text))
    if len(ages) > 1:
        raise Fault('conflicting filters "until" and "unused-for"')
    return Filter(tuple(selectors.values()), next(iter(ages.values()), 0.0))


def duration(text: str, what: str) -> float:
    """Seconds of `24h`, `2h30m`, `1.5h` (Go, time.ParseDuration)."""
    parts = list(_PART.finditer(text))
    if text == "0":
        return 0.0
    if not parts or "".join(part[0] for part in parts) != text:
        raise Fault(f"{what} expects a duration (e.g., '24h'), not {text!r}", "units are h, m, s, ms")
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)


def _once(key: str, known: dict[str, Any], value: object) -> None:
    if known.setdefault(key, value) != value:
        raise Fault(f'"{key}" filter expects only one value')


def _selector(key: str, has_value: bool, value: str, text: str) -> _Selector:
    name = key.rstrip("!~")
    if key in _FLAGS and value in ("", "true", "1", "false", "0"):
        return _Selector(key, "", "false" if value in ("false", "0") else "true")
    if name not in _FIELDS or not has_value:
        raise Fault(f"bad format of filter {text!r} (expected name=value)", f"filters are {_KEYS}")
    operator = {"!": "!=", "~": "~="}.get(key[len(name) :], "~=" if name == "id" else "==")
    if operator == "~=":
        try:
            re.compile(value)
        except re.error as error:
            raise Fault(f"filter {text!r}: {error}") from None
    return _Selector(name, operator, value)
