"""The patterns of ${name#p}, ${name%p} and ${name/p/r}: `*`, `?` and `\\` escapes, no brackets.

Matched by hand and not by regular expressions: a pattern is hostile input, and `re` takes exponential time for some.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from frontends.errors import ExpansionFault

_MANY = "*"
_ONE = "?"
_Token = tuple[str, str]  # ("*", ""), ("?", "") or ("", literal character)


def cut_prefix(value: str, pattern: str, *, greedy: bool) -> str:
    """value without the shortest or longest prefix that matches."""
    ends = list(_ends(value, 0, _tokens(pattern)))
    return value[(ends[-1] if greedy else ends[0]) :] if ends else value


def cut_suffix(value: str, pattern: str, *, greedy: bool) -> str:
    """value without the shortest or longest suffix that matches."""
    ends = list(_ends(value[::-1], 0, _tokens(pattern)[::-1]))
    return value[: len(value) - (ends[-1] if greedy else ends[0])] if ends else value


def replace(value: str, pattern: str, replacement: str, *, every: bool, most: int) -> str:
    """value with the first or every match (leftmost, longest) replaced; an empty match counts, as in Go's regexp.

    Raises ExpansionFault where the result would have more than `most` characters.
    """
    tokens = _tokens(pattern)
    out: list[str] = []
    at, previous = 0, -1
    while at <= len(value):
        ends = list(_ends(value, at, tokens))
        if ends and (ends[-1] > at or at != previous):
            out.append(replacement)
            if len(out) * len(replacement) > most:
                raise ExpansionFault(f"replacing {pattern!r} gives more than {most} characters")
            if not every:
                return "".join(out) + value[ends[-1] :]
            previous = ends[-1]
            if previous > at:
                at = previous
                continue
        out.append(value[at : at + 1])
        at += 1
    return "".join(out)


def _ends(value: str, start: int, tokens: tuple[_Token, ...]) -> Iterator[int]:
    """Where a match that begins at start may end, ascending: a set of states walked along the value."""
    states = _closure({0}, tokens)
    position = start
    while states:
        if len(tokens) in states:
            yield position
        if position == len(value):
            return
        ch = value[position]
        following = set()
        for state in states:
            if state < len(tokens):
                kind, literal = tokens[state]
                # Go's `.` does not match a newline, so neither does a wildcard.
                if kind == _MANY and ch != "\n":
                    following.add(state)
                elif (kind == _ONE and ch != "\n") or (not kind and literal == ch):
                    following.add(state + 1)
        states = _closure(following, tokens)
        position += 1


def _closure(states: set[int], tokens: tuple[_Token, ...]) -> set[int]:
    closed = set(states)
    for state in states:
        while state < len(tokens) and tokens[state][0] == _MANY:
            state += 1
            closed.add(state)
    return closed


@functools.lru_cache(maxsize=256)
def _tokens(pattern: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    characters = iter(pattern)
    for ch in characters:
        if ch in (_MANY, _ONE):
            tokens.append((ch, ""))
        elif ch == "\\":
            ch = next(characters, "")
            if ch not in ("}", "/", "*", "?", "\\"):
                raise ExpansionFault(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{ch}'")
            tokens.append(("", ch))
        else:
            tokens.append(("", ch))
    return tuple(tokens)
