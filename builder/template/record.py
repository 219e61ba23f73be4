"""Values that templates speak of, and Go's words for what they are.

A Record is a struct: a name that it does not have is an error. A plain dict is a map: such a name has no value. Lists,
strings, numbers, booleans and None are what they are in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_SEPARATORS = {0x2028: "\\u2028", 0x2029: "\\u2029"}
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


class Record(dict[str, Any]):
    """Fields in the order that JSON shows them. kind: the type's name in errors; `*…` is a row of a list.

    methods: what takes one string, `.Label "x"`; no field, so not in JSON. lenient: other names have no value, as in
    a map. in_json: fields whose values are others there.
    """

    def __init__(
        self,
        fields: dict[str, Any],
        kind: str = "struct",
        methods: dict[str, Callable[[str], Any]] | None = None,
        *,
        lenient: bool = False,
        in_json: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(fields)
        self.kind = kind
        self.methods = methods or {}
        self.lenient = lenient
        self.in_json = in_json or {}


def kind(value: object) -> str:
    """The name of a value's type, as Go says it."""
    if value is None:
        return "<nil>"
    if isinstance(value, Record):
        return value.kind
    if isinstance(value, dict):
        return "map[string]" + _element(list(value.values()))
    if isinstance(value, list | tuple):
        return "[]" + _element(list(value))
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "int", float: "float64"}.get(type(value), type(value).__name__)


def _element(values: list[Any]) -> str:
    return "string" if values and all(isinstance(v, str) for v in values) else "interface {}"


def to_json(value: object) -> str:
    """As Go encodes: fields of structs in order, keys of maps sorted, HTML escapes in rows of lists."""
    if isinstance(value, Record):
        fields = {name: value.in_json.get(name, value[name]) for name in value}
        return _object(fields).translate(_ESCAPES if value.kind.startswith("*") else {})
    if isinstance(value, dict):
        return _object({name: value[name] for name in sorted(value)})
    if isinstance(value, list | tuple):
        return f"[{','.join(map(to_json, value))}]"
    return json.dumps(value, ensure_ascii=False).translate(_SEPARATORS)


def _object(fields: dict[str, Any]) -> str:
    return f"{{{','.join(f'{to_json(name)}:{to_json(value)}' for name, value in fields.items())}}}"
