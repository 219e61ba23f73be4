"""One line of CSV, as Docker's tools take attributes: RFC 4180, refused in the words of Go's encoding/csv."""

from __future__ import annotations

import re

from cache.errors import Fault

_QUOTED = re.compile(r'"((?:[^"]|"")*)"(?=,|\Z)', re.DOTALL)
_DOUBLED = re.compile(r'"(?:[^"]*"")*')


def fields(text: str) -> list[str]:
    """Raises Fault without the name of what was read; columns count bytes from 1."""
    if not text:
        raise Fault("EOF")
    if '"' not in text:
        return text.split(",")
    found = []
    at = 0
    while at <= len(text):
        if text[at : at + 1] == '"':
            match = _QUOTED.match(text, at)
            if match is None:
                raise _fault(text, _wrong_quote(text, at), 'extraneous or missing " in quoted-field')
            found.append(match[1].replace('""', '"'))
            at = match.end() + 1
            continue
        field = text[at:].partition(",")[0]
        if '"' in field:
            raise _fault(text, at + field.index('"'), 'bare " in non-quoted-field')
        found.append(field)
        at += len(field) + 1
    return found


def _wrong_quote(text: str, at: int) -> int:
    """Where a quoted field goes wrong: at a quote neither doubled nor its end, else behind the last that was right."""
    match = _DOUBLED.match(text, at)
    after = match.end() if match else at
    return max(text.find('"', after), after)


def _fault(text: str, at: int, why: str) -> Fault:
    column = len(text[:at].encode()) + 1
    return Fault(f"parse error on line 1, column {column}: {why}", "put quotes around a whole field")
