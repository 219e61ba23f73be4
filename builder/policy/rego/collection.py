"""Arrays, sets and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.policy.rego.arguments import (
    a_kind,
    a_list,
    a_whole,
)
from builder.policy.rego.faults import Undefined
from builder.policy.rego.values import Obj, Set, Value, equal, key, lookup


def _count(value: Value) -> int:
    return len(a_kind(value, str | tuple | Set | Obj))  # type: ignore[arg-type]


def _slice(value: Value, begin: Value, end: Value) -> Value:
    array = a_kind(value, tuple)
    first, last = max(a_whole(begin), 0), min(a_whole(end), len(array))
    return array[first:last] if first < last else ()


def _flatten(value: Value) -> Value:
    return tuple(part for one in a_kind(value, tuple) for part in (one if isinstance(one, tuple) else (one,)))


def _keyed(value: Value) -> list[Value]:
    """Names of an array, a set, or an object."""
    return [k for k, _ in value.items()] if isinstance(value, Obj) else a_list(value)


def _merged(one: Value, other: Value) -> Value:
    if not isinstance(one, Obj) or not isinstance(other, Obj):
        return other
    pairs = {key(k): (k, v) for k, v in one.items()}
    for k, v in other.items():
        before = pairs.get(key(k))
        pairs[key(k)] = (k, v if before is None else _merged(before[1], v))
    return Obj(pairs.values())


def _union(one: Value, other: Value) -> Value:
    return _merged(a_kind(one, Obj), a_kind(other, Obj))


def _union_all(value: Value) -> Value:
    found: Value = Obj()
    for one in a_kind(value, tuple):
        found = _union(found, one)
    return found


def _get(value: Value, path: Value, default: Value) -> Value:
    a_kind(value, Obj)
    for part in path if isinstance(path, tuple) else (path,):
        found = next(lookup(value, part), None)
        if found is None:
            return default
        value = found[1]
    return value


def _subset(whole: Value, part: Value) -> bool:
    if isinstance(whole, Obj) and isinstance(part, Obj):
        pairs = ((next(lookup(whole, k), None), v) for k, v in part.items())
        return all(found is not None and _within(found[1], v) for found, v in pairs)
    if isinstance(whole, Set) and isinstance(part, Set):
        return all(value in whole for value in part)
    if isinstance(whole, tuple) and isinstance(part, Set):
        return all(any(equal(a, b) for b in whole) for a in part)
    if isinstance(whole, tuple) and isinstance(part, tuple):
        return any(all(map(equal, whole[at:], part)) for at in range(len(whole) - len(part) + 1))
    raise Undefined


def _within(whole: Value, part: Value) -> bool:
    alike = any(isinstance(whole, kind) and isinstance(part, kind) for kind in (Obj, Set, tuple))
    return _subset(whole, part) if alike else equal(whole, part)


def _member(value: Value, collection: Value) -> bool:
    if isinstance(collection, Set):
        return value in collection
    if isinstance(collection, Obj):
        return any(equal(value, part) for _, part in collection.items())
    return isinstance(collection, tuple) and any(equal(value, part) for part in collection)


def _meet(sets: list[Set]) -> Set:
    return Set(value for value in sets[0] if all(value in other for other in sets)) if sets else Set()


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "or": lambda a, b: Set([*a_kind(a, Set), *a_kind(b, Set)]),
    "and": lambda a, b: Set(value for value in a_kind(a, Set) if value in a_kind(b, Set)),
    "internal.member_2": _member,
    "internal.member_3": lambda k, v, c: any(equal(v, part) for _, part in lookup(c, k)),
    "count": _count,
    "sort": lambda a: tuple(sorted(a_list(a), key=key)),
    "array.concat": lambda a, b: (*a_kind(a, tuple), *a_kind(b, tuple)),
    "array.flatten": _flatten,
    "array.slice": _slice,
    "array.reverse": lambda a: a_kind(a, tuple)[::-1],
    "intersection": lambda a: _meet([a_kind(one, Set) for one in a_kind(a, Set)]),
    "union": lambda a: Set(value for one in a_kind(a, Set) for value in a_kind(one, Set)),
    "object.union": _union,
    "object.union_n": _union_all,
    "object.remove": lambda a, b: Obj(
        (k, v) for k, v in a_kind(a, Obj).items() if not any(equal(k, one) for one in _keyed(b))
    ),
    "object.filter": lambda a, b: Obj(
        (k, v) for k, v in a_kind(a, Obj).items() if any(equal(k, one) for one in _keyed(b))
    ),
    "object.get": _get,
    "object.keys": lambda a: Set(k for k, _ in a_kind(a, Obj).items()),
    "object.subset": _subset,
}
