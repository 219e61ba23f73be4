"""Checks of arguments: what is of another kind makes a call undefined."""

from __future__ import annotations

import math

from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.values import Set, Value

LONGEST = 1 << 22  # characters of a text, and elements of a range


def a_number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Undefined
    return value


def a_text(value: Value) -> str:
    if not isinstance(value, str):
        raise Undefined
    return value


def a_whole(value: Value) -> int:
    number = a_number(value)
    if isinstance(number, float) and not number.is_integer():
        raise Undefined
    return int(number)


def a_kind(value: Value, kind: type) -> Value:
    if not isinstance(value, kind):
        raise Undefined
    return value


def a_list(value: Value) -> list[Value]:
    """Of an array or a set."""
    return list(a_kind(value, tuple | Set))  # type: ignore[arg-type]


def some_texts(value: Value) -> list[str]:
    return [a_text(one) for one in ([value] if isinstance(value, str) else a_list(value))]


def bounded(text: str) -> str:
    """Raises RegoError: undefined, it would let through what stands on `not`."""
    if len(text) > LONGEST:
        raise RegoError("", "eval_builtin_error", f"a text has more than {LONGEST} characters")
    return text


def bounded_number(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise RegoError("", "eval_builtin_error", "a number is too large")
    if isinstance(value, int) and value.bit_length() > 4096:
        raise RegoError("", "eval_builtin_error", "a number has more than 4096 bits")
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
