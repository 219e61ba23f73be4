"""Texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from builder.policy.rego.arguments import (
    a_kind,
    a_list,
    a_text,
    a_whole,
    bounded,
    some_texts,
)
from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.formatting import sprintf
from builder.policy.rego.values import Obj, Value, as_json


def _trim(value: Value, cut: Value) -> str:
    return a_text(value).strip(a_text(cut)) if a_text(cut) else a_text(value)


def _replaced(patterns: Value, value: Value) -> str:
    pairs = {a_text(k): a_text(v) for k, v in a_kind(patterns, Obj).items()}
    if not pairs:
        return a_text(value)
    return bounded(re.sub("|".join(map(re.escape, pairs)), lambda match: pairs[match[0]], a_text(value)))


def _substring(value: Value, begin: Value, length: Value) -> str:
    text, first, count = a_text(value), a_whole(begin), a_whole(length)
    if first < 0:
        raise Undefined
    return text[first:] if count < 0 else text[first : first + count]


def _index(value: Value, part: Value) -> int:
    if not a_text(part):
        raise Undefined
    return a_text(value).find(a_text(part))


def _indexes(value: Value, part: Value) -> Value:
    text, wanted = a_text(value), a_text(part)
    if not wanted:
        raise Undefined
    return tuple(at for at in range(len(text)) if text.startswith(wanted, at))


def _split(value: Value, by: Value) -> Value:
    text, mark = a_text(value), a_text(by)
    return tuple(text.split(mark)) if mark else tuple(text)


def _fixes(method: str) -> Callable[[Value, Value], bool]:
    def found(values: Value, parts: Value) -> bool:
        return any(getattr(text, method)(part) for text in some_texts(values) for part in some_texts(parts))

    return found


def _lower(char: str) -> str:
    """As Go has it: one character for one, whatever stands beside it."""
    return char.lower()[0]


def _upper(char: str) -> str:
    return next((one for one in (char.upper(), char.title()) if len(one) == 1), char)


_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def _render(text: Value, values: Value) -> str:
    """Go's text/template, as far as it is `{{.name}}` of texts, numbers and booleans."""
    fields = dict(a_kind(values, Obj).items())
    source = a_text(text)
    if re.search(r"\{\{(?!\s*\.\w+\s*\}\})", source):
        raise RegoError("", "eval_builtin_error", "strings.render_template knows {{.name}} only")

    def field(match: re.Match[str]) -> str:
        value = fields.get(match[1], "<undefined>")
        if not isinstance(value, str | int | float):
            raise RegoError("", "eval_builtin_error", "strings.render_template knows texts, numbers and booleans only")
        return value if isinstance(value, str) else as_json(value)

    return bounded(re.sub(r"\{\{\s*\.(\w+)\s*\}\}", field, source))


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "strings.any_prefix_match": _fixes("startswith"),
    "strings.any_suffix_match": _fixes("endswith"),
    "strings.count": lambda a, b: a_text(a).count(a_text(b)),
    "strings.replace_n": _replaced,
    "strings.reverse": lambda a: a_text(a)[::-1],
    "strings.render_template": _render,
    "concat": lambda by, values: bounded(a_text(by).join(some_texts(tuple(a_list(values))))),
    "indexof": _index,
    "indexof_n": _indexes,
    "substring": _substring,
    "lower": lambda a: "".join(map(_lower, a_text(a))),
    "upper": lambda a: "".join(map(_upper, a_text(a))),
    "contains": lambda a, b: a_text(b) in a_text(a),
    "startswith": lambda a, b: a_text(a).startswith(a_text(b)),
    "endswith": lambda a, b: a_text(a).endswith(a_text(b)),
    "split": _split,
    "replace": lambda a, b, c: bounded(a_text(a).replace(a_text(b), a_text(c))),
    "trim": _trim,
    "trim_left": lambda a, b: a_text(a).lstrip(a_text(b)) if a_text(b) else a,
    "trim_right": lambda a, b: a_text(a).rstrip(a_text(b)) if a_text(b) else a,
    "trim_prefix": lambda a, b: a_text(a).removeprefix(a_text(b)),
    "trim_suffix": lambda a, b: a_text(a).removesuffix(a_text(b)),
    "trim_space": lambda a: a_text(a).strip(_SPACE),
    "sprintf": lambda form, values: bounded(sprintf(a_text(form), list(a_kind(values, tuple)))),
}
