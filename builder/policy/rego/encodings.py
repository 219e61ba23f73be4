"""JSON, YAML, base64, hexadecimal and what stands in URLs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_to_bytes

import yaml

from builder.policy.rego.arguments import (
    a_kind,
    a_text,
    bounded,
    bounded_number,
    some_texts,
)
from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.values import Obj, Value, as_json, from_plain


def _parsed(text: Value) -> Value:
    return from_plain(json.loads(a_text(text), parse_constant=_no_constant, parse_float=_finite))


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> int | float:
    return bounded_number(float(text))


def _is_json(value: Value) -> bool:
    try:
        _parsed(value)
    except (ValueError, Undefined, RecursionError):
        return False
    return True


def _marshal_with(value: Value, options: Value) -> str:
    fields = dict(a_kind(options, Obj).items())
    pretty = a_kind(fields.pop("pretty", "indent" in fields or "prefix" in fields), bool)
    indent, prefix = a_text(fields.pop("indent", "\t")), a_text(fields.pop("prefix", ""))
    if fields:
        raise Undefined
    if not pretty:
        return as_json(value)
    text = json.dumps(json.loads(as_json(value)), indent=indent, ensure_ascii=False)
    return bounded(prefix + text.replace("\n", f"\n{prefix}"))


def _decoded(value: Value, *, url: bool = False) -> str:
    text = a_text(value)
    if url:
        return _text(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    return _text(base64.b64decode(text, validate=True))


def _text(raw: bytes) -> str:
    """Raises RegoError where OPA would have a text that is no UTF-8: undefined, `not` would let it through."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RegoError("", "eval_builtin_error", "what is decoded is no UTF-8") from None


def _is_base64(value: Value) -> bool:
    try:
        base64.b64decode(a_text(value), validate=True)
    except (ValueError, Undefined):
        return False
    return True


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML without its dates, and without aliases, which can make much of little."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, found) for tag, found in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _yaml(value: Value) -> Value:
    try:
        return from_plain(json.loads(json.dumps(yaml.load(a_text(value), _Loader))))  # noqa: S506, a safe one
    except yaml.YAMLError:
        raise Undefined from None


def _is_yaml(value: Value) -> bool:
    try:
        _yaml(value)
    except (Undefined, ValueError, TypeError):
        return False
    return True


def _to_yaml(value: Value) -> str:
    text: str = yaml.safe_dump(json.loads(as_json(value)), default_flow_style=False, allow_unicode=True)
    return text.removesuffix("...\n")


def _query_object(value: Value) -> Value:
    text = _escapes(a_text(value))
    if ";" in text:
        raise Undefined
    try:
        found = parse_qs(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RegoError("", "eval_builtin_error", "what is decoded is no UTF-8") from None
    return Obj((name, tuple(parts)) for name, parts in found.items())


def _escapes(text: str) -> str:
    """Raises Undefined for a % that no two digits follow."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise Undefined
    return text


def _query(value: Value) -> str:
    pairs = []
    for name, part in a_kind(value, Obj).items():
        pairs += [f"{quote_plus(a_text(name))}={quote_plus(one)}" for one in some_texts(part)]
    return "&".join(pairs)


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "json.marshal": as_json,
    "json.marshal_with_options": _marshal_with,
    "json.unmarshal": _parsed,
    "json.is_valid": _is_json,
    "base64.encode": lambda a: base64.b64encode(a_text(a).encode()).decode(),
    "base64.decode": _decoded,
    "base64.is_valid": _is_base64,
    "base64url.encode": lambda a: base64.urlsafe_b64encode(a_text(a).encode()).decode(),
    "base64url.encode_no_pad": lambda a: base64.urlsafe_b64encode(a_text(a).encode()).decode().rstrip("="),
    "base64url.decode": lambda a: _decoded(a, url=True),
    "hex.encode": lambda a: a_text(a).encode().hex(),
    "hex.decode": lambda a: _text(bytes.fromhex(a_text(a))),
    "urlquery.encode": lambda a: quote_plus(a_text(a)),
    "urlquery.decode": lambda a: _text(unquote_to_bytes(_escapes(a_text(a)).replace("+", " "))),
    "urlquery.encode_object": _query,
    "urlquery.decode_object": _query_object,
    "yaml.marshal": _to_yaml,
    "yaml.unmarshal": _yaml,
    "yaml.is_valid": _is_yaml,
}
