"""Kinds of values, casts, and names with a form: versions and UUIDs."""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping

from builder.policy.rego.arguments import (
    a_text,
)
from builder.policy.rego.faults import Undefined
from builder.policy.rego.values import Obj, Set, Value, equal, key

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?\Z",
    re.ASCII,
)


def _version(value: Value) -> tuple[object, ...]:
    match = _SEMVER.match(a_text(value))
    if match is None:
        raise Undefined
    later = match[4] is None
    parts = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in (match[4] or "").split(".")]
    return (int(match[1]), int(match[2]), int(match[3]), later, *([] if later else parts))


def _semver(one: Value, other: Value) -> int:
    left, right = _version(one), _version(other)
    return (left > right) - (left < right)


def _is_semver(value: Value) -> bool:
    return isinstance(value, str) and _SEMVER.match(value) is not None


_GREGORIAN = 0x01B21DD213814000  # 1970, in 100 ns since 1582


def _uuid(value: Value) -> Value:
    found = uuid.UUID(a_text(value))
    variant = {uuid.RFC_4122: "RFC4122", uuid.RESERVED_NCS: "NCS", uuid.RESERVED_MICROSOFT: "Microsoft"}.get(
        found.variant, "Future"
    )
    fields: dict[str, Value] = {"variant": variant, "version": found.bytes[6] >> 4}
    if fields["version"] in (1, 2):
        first = found.bytes[10]
        fields["time"] = (found.time - _GREGORIAN) * 100
        fields["nodeid"] = found.bytes[10:].hex("-")
        fields["macvariables"] = f"{'local' if first & 2 else 'global'}:{'multicast' if first & 1 else 'unicast'}"
        fields["clocksequence"] = int.from_bytes(found.bytes[8:10], "big") & 0x3FFF
    if fields["version"] == 2:
        fields["id"] = found.time_low
        fields["domain"] = {0: "Person", 1: "Group", 2: "Org"}.get(found.bytes[9], f"Domain{found.bytes[9]}")
    return Obj(fields.items())


def _type(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {
        type(None): "null",
        int: "number",
        float: "number",
        str: "string",
        tuple: "array",
        Obj: "object",
        Set: "set",
    }
    return names[type(value)]


_SEED = time.time_ns()  # the same for all of a build


def _random_uuid(name: Value) -> str:
    """The same for the same name."""
    made = random.Random(f"{a_text(name)} {_SEED}").randbytes(16)  # noqa: S311
    return str(uuid.UUID(bytes=made, version=4))


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "equal": equal,
    "eq": equal,
    "neq": lambda a, b: not equal(a, b),
    "lt": lambda a, b: key(a) < key(b),
    "lte": lambda a, b: key(a) <= key(b),
    "gt": lambda a, b: key(a) > key(b),
    "gte": lambda a, b: key(a) >= key(b),
    "is_number": lambda a: isinstance(a, int | float) and not isinstance(a, bool),
    "is_string": lambda a: isinstance(a, str),
    "is_boolean": lambda a: isinstance(a, bool),
    "is_array": lambda a: isinstance(a, tuple),
    "is_set": lambda a: isinstance(a, Set),
    "is_object": lambda a: isinstance(a, Obj),
    "is_null": lambda a: a is None,
    "type_name": lambda a: _type(a),
    "uuid.rfc4122": _random_uuid,
    "uuid.parse": _uuid,
    "semver.is_valid": _is_semver,
    "semver.compare": _semver,
}
