"""The JSON form of arguments, as Go's encoding/json reads it."""

from __future__ import annotations

import json

from frontends.dockerfile.gotext import SPACE
from frontends.errors import ParseFault


def string_array(text: str) -> tuple[str, ...] | None:
    """A JSON array of strings, or None where the text is no JSON array. Raises ParseFault where it holds others."""
    text = text.lstrip(SPACE)
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text, parse_constant=_refuse, parse_float=_number, parse_int=_number)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in values):
        raise ParseFault("when using JSON array syntax, arrays must be comprised of strings only")
    if any("\0" in value for value in values):
        raise ParseFault("instruction holds a NUL byte", "no path, variable or argument can hold one")
    # A lone surrogate can be written in JSON but not in UTF-8; Go reads it as U+FFFD.
    return tuple(v.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for v in values)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _number(text: str) -> float:
    """A float64, which all numbers are to Go; one that is none makes the text no JSON."""
    value = float(text)
    if abs(value) == float("inf"):
        raise ValueError(text)
    return value
