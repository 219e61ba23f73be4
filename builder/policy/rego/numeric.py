"""Numbers: arithmetic, comparison, bits, sums, units."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Mapping
from fractions import Fraction

from builder.policy.rego.arguments import (
    LONGEST,
    a_list,
    a_number,
    a_text,
    a_whole,
    bounded_number,
)
from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.values import Set, Value, as_json, key


def _exact(value: Value) -> int | Fraction:
    """As it is written: 0.1 + 0.2 is 0.3, as in OPA, which counts with more bits than a float has."""
    number = a_number(value)
    return Fraction(repr(number)) if isinstance(number, float) else number


def _rounded(value: int | Fraction) -> Value:
    if value.denominator == 1:
        return bounded_number(value.numerator)
    if value and not float(value):
        raise RegoError("", "eval_builtin_error", "a number is too small")
    return bounded_number(float(value))


def _minus(one: Value, other: Value) -> Value:
    if isinstance(one, Set) and isinstance(other, Set):
        return Set(value for value in one if value not in other)
    return _rounded(_exact(one) - _exact(other))


def _div(one: Value, other: Value) -> Value:
    by = _exact(other)
    if not by:
        raise Undefined
    return _rounded(Fraction(_exact(one)) / by)


def _rem(one: Value, other: Value) -> Value:
    one, other = a_whole(one), a_whole(other)
    if not other:
        raise Undefined
    return one - other * int(abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1))


def _round(value: Value) -> Value:
    number = a_number(value)
    return int(math.copysign(math.floor(abs(number) + 0.5), number))


def _extreme(pick: Callable[..., Value]) -> Callable[[Value], Value]:
    def found(value: Value) -> Value:
        values = a_list(value)
        if not values:
            raise Undefined
        return pick(values, key=key)

    return found


def _sum(value: Value) -> Value:
    return _rounded(sum(_exact(one) for one in a_list(value)))


def _product(value: Value) -> Value:
    product: int | Fraction = 1
    for one in a_list(value):
        product = _exact(_rounded(product * _exact(one)))
    return _rounded(product)


def _to_number(value: Value) -> Value:
    if value is None or isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, str):
        if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", value, re.ASCII) or len(value) > 300:
            if _AMOUNT.fullmatch(value) and value[-1] in "0123456789.":
                raise RegoError("", "eval_builtin_error", f"{value!r:.60} is a number to Go only")
            raise Undefined
        return bounded_number(int(value) if re.fullmatch(r"-?\d+", value, re.ASCII) else float(value))
    return a_number(value)


def _format_int(value: Value, base: Value) -> str:
    given, radix = a_number(value), a_whole(base)
    if given < 0 and given != int(given):
        raise RegoError("", "eval_builtin_error", f"format_int is for whole numbers, not {given}")
    number = int(given)
    form = {2: "b", 8: "o", 10: "d", 16: "x"}.get(radix)
    if form is None:
        raise Undefined
    return format(number, form)


def _range(begin: Value, end: Value, step: Value) -> Value:
    first, last, by = a_whole(begin), a_whole(end), a_whole(step)
    if by < 1:
        raise Undefined
    if abs(last - first) // by > LONGEST:
        raise RegoError("", "eval_builtin_error", f"a range has more than {LONGEST} numbers")
    return tuple(range(first, last + 1, by) if first <= last else range(first, last - 1, -by))


_UNITS: dict[str, int | Fraction] = {
    "": 1,
    "m": Fraction(1, 1000),
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
}


_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "pi": 1 << 50, "ei": 1 << 60}


_AMOUNT = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?)([A-Za-z]*)", re.ASCII)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}


def _units(value: Value) -> Value:
    number, unit = _amount(value)
    factor = _BINARY.get(unit.lower()) or _UNITS.get(unit) or _UNITS.get(unit.upper()) or _UNITS.get(unit.lower())
    if factor is None:
        raise Undefined
    found = number * Fraction(factor)
    return bounded_number(found.numerator if found.denominator == 1 else float(found))


def _bytes(value: Value) -> Value:
    number, unit = _amount(value)
    unit = unit.lower().removesuffix("b")
    factor = _BINARY.get(unit) or _BYTES.get(unit)
    if factor is None:
        raise Undefined
    return bounded_number(int(number * factor))


def _amount(value: Value) -> tuple[Fraction, str]:
    match = _AMOUNT.fullmatch(a_text(value).strip('"'))
    if match is None:
        raise Undefined
    return Fraction(match[1]), match[2]


_SEED = time.time_ns()  # the same for all of a build


def _random(name: Value, most: Value) -> int:
    bound = a_whole(most)
    return random.Random(f"{as_json(name)} {_SEED}").randrange(abs(bound)) if bound else 0  # noqa: S311


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "plus": lambda a, b: _rounded(_exact(a) + _exact(b)),
    "minus": _minus,
    "mul": lambda a, b: _rounded(_exact(a) * _exact(b)),
    "div": _div,
    "rem": _rem,
    "abs": lambda a: abs(a_number(a)),
    "ceil": lambda a: math.ceil(a_number(a)),
    "floor": lambda a: math.floor(a_number(a)),
    "round": _round,
    "bits.or": lambda a, b: a_whole(a) | a_whole(b),
    "bits.and": lambda a, b: a_whole(a) & a_whole(b),
    "bits.xor": lambda a, b: a_whole(a) ^ a_whole(b),
    "bits.negate": lambda a: ~a_whole(a),
    "bits.lsh": lambda a, b: bounded_number(a_whole(a) << min(a_whole(b), 1 << 16)),
    "bits.rsh": lambda a, b: a_whole(a) >> a_whole(b),
    "sum": _sum,
    "product": _product,
    "max": _extreme(max),
    "min": _extreme(min),
    "to_number": _to_number,
    "format_int": _format_int,
    "numbers.range": lambda a, b: _range(a, b, 1),
    "numbers.range_step": _range,
    "units.parse": _units,
    "units.parse_bytes": _bytes,
    "rand.intn": _random,
}
