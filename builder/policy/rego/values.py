"""Values of Rego: null, booleans, numbers, strings, and of these arrays (tuples), objects and sets.

They are compared by key(): Python's own equality takes true for 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from builder.policy.rego.faults import Needed

Value = Any
"""None, bool, int, float, str, tuple, Obj or Set."""

Key = tuple[Any, ...]
_NULL, _BOOL, _NUMBER, _STRING, _ARRAY, _OBJECT, _SET = range(7)


class Obj:
    """An object. Never changed once it is shared. path, unknown: fields that are not known yet: see lazy()."""

    __slots__ = ("_items", "_key", "path", "unknown")

    def __init__(self, pairs: Iterable[tuple[Value, Value]] = ()) -> None:
        self._items: dict[Key, tuple[Value, Value]] = {key(k): (k, v) for k, v in pairs}
        self._key: Key | None = None
        self.path = ""
        self.unknown: frozenset[str] = frozenset()

    def get(self, name: Value) -> tuple[Value, Value] | None:
        """The pair of a key. Raises Needed where it is not known yet."""
        if self.unknown and isinstance(name, str) and name in self.unknown:
            raise Needed((f"{self.path}.{name}",))
        return self._items.get(key(name))

    def items(self) -> list[tuple[Value, Value]]:
        """In the order of the keys. Raises Needed where some are not known yet."""
        if self.unknown:
            raise Needed(tuple(f"{self.path}.{name}" for name in sorted(self.unknown)))
        return self.known()

    def known(self) -> list[tuple[Value, Value]]:
        """Of those that are known."""
        return [self._items[k] for k in sorted(self._items)]

    def key(self) -> Key:
        if self._key is None or self.unknown:
            self._key = tuple((key(k), key(v)) for k, v in self.items())
        return self._key

    def __len__(self) -> int:
        return len(self.items())


class Set:
    """A set. Never changed once it is shared."""

    __slots__ = ("_items", "_key")

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self._items: dict[Key, Value] = {key(value): value for value in values}
        self._key: Key | None = None

    def __contains__(self, value: Value) -> bool:
        return key(value) in self._items

    def __iter__(self) -> Iterator[Value]:
        return iter([self._items[k] for k in sorted(self._items)])

    def __len__(self) -> int:
        return len(self._items)

    def key(self) -> Key:
        if self._key is None:
            self._key = tuple(sorted(self._items))
        return self._key


def key(value: Value) -> Key:
    """Equal for equal values, and in OPA's order: null, booleans, numbers, strings, arrays, objects, sets."""
    if value is None:
        return (_NULL,)
    if isinstance(value, bool):
        return (_BOOL, value)
    if isinstance(value, int | float):
        return (_NUMBER, value)
    if isinstance(value, str):
        return (_STRING, value)
    if isinstance(value, tuple):
        return (_ARRAY, tuple(map(key, value)))
    return (_OBJECT if isinstance(value, Obj) else _SET, value.key())


def equal(one: Value, other: Value) -> bool:
    return key(one) == key(other)


def lookup(value: Value, name: Value) -> Iterator[tuple[Value, Value]]:
    """The key and the element, if there is one: by index, key, or membership of a set."""
    if isinstance(value, Obj):
        found = value.get(name)
        if found is not None:
            yield found
    elif isinstance(value, tuple):
        if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(value):
            yield name, value[name]
    elif isinstance(value, Set) and name in value:
        yield name, name


def elements(value: Value) -> Iterator[tuple[Value, Value]]:
    """Keys and elements of a collection; of a set the element is its own key. Nothing for what is none."""
    if isinstance(value, Obj):
        yield from value.items()
    elif isinstance(value, tuple):
        yield from enumerate(value)
    elif isinstance(value, Set):
        for element in value:
            yield element, element


def from_plain(value: Any) -> Value:
    """Of what JSON gives."""
    if isinstance(value, dict):
        return Obj((k, from_plain(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(from_plain, value))
    return value


def to_plain(value: Value) -> Any:
    """For JSON: sets are lists, keys that are no strings their JSON. Fields that are not known yet are left out."""
    if isinstance(value, Obj):
        return {k if isinstance(k, str) else as_json(k): to_plain(v) for k, v in value.known()}
    if isinstance(value, tuple | Set):
        return [to_plain(part) for part in value]
    return value


def as_json(value: Value) -> str:
    """As OPA writes it, without spaces; numbers that are whole have no fraction."""
    return json.dumps(_whole(to_plain(value)), ensure_ascii=False, separators=(",", ":"))


def shown(value: Value) -> str:
    """As OPA prints a term: strings in quotes, sets in braces."""
    if isinstance(value, Obj):
        return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.known()) + "}"
    if isinstance(value, Set):
        return "{" + ", ".join(map(shown, value)) + "}" if len(value) else "set()"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return as_json(value)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value
