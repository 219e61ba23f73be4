"""Regular expressions, which are RE2's as in Go, and globs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import re2

from builder.policy.rego.arguments import (
    a_kind,
    a_text,
    a_whole,
    bounded,
)
from builder.policy.rego.faults import Undefined
from builder.policy.rego.globs import globs_match
from builder.policy.rego.values import Value

_OPTIONS = re2.Options()


_OPTIONS.log_errors = False


@cache
def _regex(pattern: str) -> Any:
    """As Go reads it: RE2, in time that the text's length bounds. Raises re2.error."""
    return re2.compile(pattern, _OPTIONS)


def _is_regex(pattern: Value) -> bool:
    if not isinstance(pattern, str):
        return False
    try:
        _regex(pattern)
    except re2.error:
        return False
    return True


def _search(pattern: Value, value: Value) -> bool:
    return _compiled(pattern).search(a_text(value)) is not None


def _compiled(pattern: Value) -> Any:
    try:
        return _regex(a_text(pattern))
    except re2.error:
        raise Undefined from None


def _matches(pattern: Value, text: str) -> Iterator[Any]:
    """As Go has them: an empty one right behind another does not count."""
    end = -1
    for match in _compiled(pattern).finditer(text):
        if match.end() > end:
            end = match.end()
            yield match


def _limited(found: Iterable[Value], number: Value) -> Value:
    count = a_whole(number)
    values = tuple(found)
    return values if count < 0 else values[:count]


def _find(pattern: Value, value: Value, number: Value) -> Value:
    return _limited((match[0] for match in _matches(pattern, a_text(value))), number)


def _submatches(pattern: Value, value: Value, number: Value) -> Value:
    found = (tuple(part or "" for part in (m[0], *m.groups())) for m in _matches(pattern, a_text(value)))
    return _limited(found, number)


def _regex_split(pattern: Value, value: Value) -> Value:
    text = a_text(value)
    parts, begin, end = [], 0, 0
    for match in _matches(pattern, text):
        end = match.start()
        if match.end():
            parts.append(text[begin:end])
        begin = match.end()
    return tuple(parts) if text and end == len(text) else (*parts, text[begin:])


def _regex_replace(value: Value, pattern: Value, by: Value) -> Value:
    template = a_text(by)

    def expand(match: Any) -> str:
        def group(mark: re.Match[str]) -> str:
            name = mark[1] or mark[2]
            if name is None:
                return "$"
            try:
                return match[int(name) if name.isdecimal() else name] or ""
            except (IndexError, KeyError):
                return ""

        return re.sub(r"\$(?:\$|\{(\w+)\}|(\w+))", group, template)

    text, parts, begin = a_text(value), [], 0
    for match in _matches(pattern, text):
        parts += [text[begin : match.start()], expand(match)]
        begin = match.end()
    return bounded("".join(parts) + text[begin:])


def _template_match(pattern: Value, value: Value, begin: Value, end: Value) -> bool:
    opening, closing, text = a_text(begin), a_text(end), a_text(pattern)
    if len(opening) != 1 or len(closing) != 1:
        raise Undefined
    found, depth, start, plain = [], 0, 0, 0
    for at, char in enumerate(text):
        if char == opening:
            if not depth:
                found.append(re.escape(text[plain:at]))
                start = at + 1
            depth += 1
        elif char == closing:
            depth -= 1
            if depth < 0:
                raise Undefined
            if not depth:
                found.append(f"({text[start:at]})")
                plain = at + 1
    if depth:
        raise Undefined
    return _compiled("^" + "".join(found) + re.escape(text[plain:]) + "$").search(a_text(value)) is not None


def _glob(pattern: Value, delimiters: Value, value: Value) -> bool:
    """gobwas/glob: * stays between delimiters, ** does not, {a,b}, [a-z], [!a]."""
    marks = [] if delimiters is None else [a_text(mark) for mark in a_kind(delimiters, tuple)] or ["."]
    stop = "".join(re.escape(mark) for mark in marks)
    one = f"[^{stop}]" if stop else "."
    found, at, text, depth = [], 0, a_text(pattern), 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            if text[at : at + 1] == "*":
                at += 1
                found.append(".*")
            else:
                found.append(f"{one}*")
        elif char == "?":
            found.append(one)
        elif char == "[":
            end = text.find("]", at)
            if end < 0:
                raise Undefined
            inside = text[at:end]
            inside = f"^{inside[1:]}" if inside[:1] == "!" else inside
            found.append("[" + inside.replace("\\", "\\\\") + "]")
            at = end + 1
        elif char == "{":
            depth += 1
            found.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            found.append(")")
        elif char == "," and depth:
            found.append("|")
        else:
            if char == "\\" and at < len(text):
                char = text[at]
                at += 1
            found.append(re.escape(char))
    if depth:
        raise Undefined
    return _compiled(f"(?s){''.join(found)}").fullmatch(a_text(value)) is not None


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "regex.is_valid": _is_regex,
    "regex.match": _search,
    "regex.split": _regex_split,
    "regex.template_match": _template_match,
    "regex.find_n": _find,
    "regex.find_all_string_submatch_n": _submatches,
    "regex.replace": _regex_replace,
    "regex.globs_match": globs_match,
    "glob.match": _glob,
    "glob.quote_meta": lambda a: re.sub(r"([*?\\\[\]{}])", r"\\\1", a_text(a)),
}
