"""Part: a set or an object to which several rules add."""

from __future__ import annotations

from typing import Any

from builder.policy.rego.context import MISSING
from builder.policy.rego.values import Key, Obj, Set, Value, equal, key


class Part:
    """A set or object that is being made: members, or parts by key."""

    def __init__(self) -> None:
        self._parts: dict[Key, tuple[Value, Part]] = {}
        self._members: list[Value] | None = None
        self._leaf: Any = MISSING

    @property
    def is_empty(self) -> bool:
        return not self._parts and self._members is None and self._leaf is MISSING

    def put(self, path: list[Value], value: Value, contains: bool) -> bool:
        """Whether it fits what is there."""
        if path:
            if self._members is not None or self._leaf is not MISSING:
                return False
            return self._parts.setdefault(key(path[0]), (path[0], Part()))[1].put(path[1:], value, contains)
        if self._parts or (contains and self._leaf is not MISSING) or (not contains and self._members is not None):
            return False
        if contains:
            self._members = [*(self._members or ()), value]
            return True
        if self._leaf is not MISSING and not equal(self._leaf, value):
            return False
        self._leaf = value
        return True

    def value(self) -> Value:
        if self._members is not None:
            return Set(self._members)
        if self._leaf is not MISSING:
            return self._leaf
        return Obj((name, part.value()) for name, part in self._parts.values())
