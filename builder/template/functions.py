"""The functions of templates: Go's own (text/template/funcs.go) and those that Docker adds (its templates package).

A Signature says what a function takes, so that a wrong call is an error in Go's words and never one of Python's.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import msgspec

from builder.template.printing import joined, printf, show
from builder.template.record import Record, kind, to_json

LARGEST = 16 << 20  # characters that one function, or a whole template, may give


class Failed(Exception):
    """A function's own complaint; the text is Go's."""


class Signature(msgspec.Struct, frozen=True):
    """takes: "string", "int" or "any" for each argument. rest: what more of them there may be, "" for none."""

    call: Callable[..., Any]
    takes: tuple[str, ...] = ()
    rest: str = ""


def truth(value: object) -> bool:
    """What `if` thinks of a value: false, 0, nil and what is empty are false; a struct never is."""
    return isinstance(value, Record) or bool(value)


def _join(elements: Any, separator: str) -> str:
    if elements is None:
        return ""
    if isinstance(elements, dict) and not isinstance(elements, Record):
        return separator.join(sorted(show(v, nested=True) for v in elements.values()))
    if isinstance(elements, list | tuple):
        return separator.join(show(v, nested=True) for v in elements)
    raise Failed(f"expected slice, got {kind(elements)}")


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _title(text: str) -> str:
    return re.sub(r"(?<![\w'])\w", lambda match: match[0].title(), text)


def _pad(text: str, before: int, after: int) -> str:
    if text == "":
        return text
    if before < 0 or after < 0:
        raise Failed("strings: negative Repeat count")
    if before + after > LARGEST:
        raise Failed("strings: Repeat output length overflow")
    return " " * before + text + " " * after


def _truncate(text: str, length: int) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if len(data) < length:
        return text
    if length < 0:
        raise Failed(f"slice bounds out of range [:{length}]")
    return data[:length].decode("utf-8", "replace")


def _len(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, list | tuple | dict) and not isinstance(value, Record):
        return len(value)
    raise Failed("len of nil pointer" if value is None else f"len of type {kind(value)}")


def _index(value: Any, *places: Any) -> Any:
    for place in places:
        if value is None:
            raise Failed("index of untyped nil")
        if isinstance(value, dict) and not isinstance(value, Record):
            if not isinstance(place, str):
                raise Failed(f"value has type {kind(place)}; should be string")
            value = value.get(place, "" if _of_strings(value) else None)
        elif isinstance(value, list | tuple | str):
            whole = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            value = whole[_position(place, len(whole) - 1)]
        else:
            raise Failed(f"can't index item of type {kind(value)}")
    return value


def _of_strings(value: dict[str, Any]) -> bool:
    return bool(value) and all(isinstance(v, str) for v in value.values())


def _position(place: Any, last: int) -> int:
    if isinstance(place, bool) or not isinstance(place, int):
        raise Failed(f"cannot index slice/array with {'nil' if place is None else f'type {kind(place)}'}")
    if not 0 <= place <= last:
        raise Failed(f"index out of range: {place}")
    return place


def _slice(value: Any, *places: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise Failed("slice of untyped nil" if value is None else f"can't slice item of type {kind(value)}")
    if len(places) > 2:
        raise Failed(f"too many slice indexes: {len(places)}")
    whole = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else list(value)
    start, end = (*(_position(place, len(whole)) for place in places), *(0, len(whole))[len(places) :])
    if start > end:
        raise Failed(f"invalid slice index: {start} > {end}")
    part = whole[start:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _basic(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    for basic, name in ((str, "string"), (int, "int"), (float, "float")):
        if isinstance(value, basic):
            return name
    if value is None:
        return "nil"
    raise Failed(f"non-comparable type {show(value)}: {kind(value)}")


def _same(one: Any, other: Any) -> bool:
    kinds = _basic(one), _basic(other)
    if kinds[0] != kinds[1]:
        if "nil" in kinds:
            return False
        raise Failed("incompatible types for comparison")
    return bool(one == other)


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise Failed("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _less(one: Any, other: Any) -> bool:
    kinds = _basic(one), _basic(other)
    if kinds[0] != kinds[1]:
        raise Failed("incompatible types for comparison")
    if kinds[0] in ("bool", "nil"):
        raise Failed("invalid type for comparison")
    return bool(one < other)


def _js(*values: Any) -> str:
    text = json.dumps(joined(values), ensure_ascii=False)[1:-1]
    for character in "<>&='":
        text = text.replace(character, f"\\u{ord(character):04X}" if character != "'" else "\\'")
    return text


def _html(*values: Any) -> str:
    return html.escape(joined(values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


FUNCTIONS: dict[str, Signature] = {
    "json": Signature(to_json, ("any",)),
    "join": Signature(_join, ("any", "string")),
    "split": Signature(_split, ("string", "string")),
    "title": Signature(_title, ("string",)),
    "lower": Signature(str.lower, ("string",)),
    "upper": Signature(str.upper, ("string",)),
    "pad": Signature(_pad, ("string", "int", "int")),
    "truncate": Signature(_truncate, ("string", "int")),
    "and": Signature(
        lambda *values: None, ("any",), "any"
    ),  # and, or: evaluate.py, which stops at the one that decides
    "or": Signature(lambda *values: None, ("any",), "any"),
    "not": Signature(lambda value: not truth(value), ("any",)),
    "len": Signature(_len, ("any",)),
    "index": Signature(_index, ("any",), "any"),
    "slice": Signature(_slice, ("any",), "any"),
    "eq": Signature(_eq, ("any",), "any"),
    "ne": Signature(lambda one, other: not _same(one, other), ("any", "any")),
    "lt": Signature(_less, ("any", "any")),
    "le": Signature(lambda one, other: _less(one, other) or _same(one, other), ("any", "any")),
    "gt": Signature(lambda one, other: not (_less(one, other) or _same(one, other)), ("any", "any")),
    "ge": Signature(lambda one, other: not _less(one, other), ("any", "any")),
    "print": Signature(lambda *values: joined(values), (), "any"),
    "println": Signature(lambda *values: " ".join(show(v, nested=True) for v in values) + "\n", (), "any"),
    "printf": Signature(lambda form, *values: printf(form, values), ("string",), "any"),
    "html": Signature(_html, (), "any"),
    "js": Signature(_js, (), "any"),
    "urlquery": Signature(lambda *values: quote_plus(joined(values), safe="-_.~"), (), "any"),
}

# In the header of a table a column is called by its name, whatever its values go through.
HEADER: dict[str, Signature] = FUNCTIONS | {
    "json": Signature(lambda text: text, ("string",)),
    "split": Signature(lambda text, _: text, ("string", "string")),
    "join": Signature(lambda text, _: text, ("string", "string")),
    "title": Signature(lambda text: text, ("string",)),
    "lower": Signature(lambda text: text, ("string",)),
    "upper": Signature(lambda text: text, ("string",)),
    "truncate": Signature(lambda text, _: text, ("string", "int")),
}
