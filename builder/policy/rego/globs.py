"""regex.globs_match: whether two patterns have a text in common (github.com/yashtewari/glob-intersection)."""

from __future__ import annotations

from builder.policy.rego.arguments import a_text
from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.values import Value

_ANY = ((0, 0x10FFFF),)
_LONGEST = 1000
Ranges = tuple[tuple[int, int], ...]
Parts = list[tuple[Ranges, str]]
"""Which characters, and how often: "", "*" or "+"."""


def globs_match(one: Value, other: Value) -> bool:
    """Of characters, `.`, `[a-z]`, and `*` and `+` behind them; `\\` before what is meant as it is.

    Raises Undefined for what is no such pattern.
    """
    left, right = _parts(a_text(one)), _parts(a_text(other))
    if len(left) * len(right) > _LONGEST**2:
        raise RegoError("", "eval_builtin_error", "the patterns of regex.globs_match are too long")
    seen, waiting = {(0, 0, False)}, [(0, 0, False)]  # how far in each, and whether there is a character already
    while waiting:
        i, j, some = waiting.pop()
        if i == len(left) and j == len(right) and some:
            return True
        for step in _steps(left, right, i, j, some):
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    if (len(left), len(right), False) in seen:
        raise RegoError("", "eval_builtin_error", "patterns that have only the empty text in common are not supported")
    return False


def _steps(left: Parts, right: Parts, i: int, j: int, some: bool) -> list[tuple[int, int, bool]]:
    found = []
    if i < len(left) and left[i][1] == "*":
        found.append((i + 1, j, some))
    if j < len(right) and right[j][1] == "*":
        found.append((i, j + 1, some))
    if i < len(left) and j < len(right) and _meet(left[i][0], right[j][0]):
        after = (i + 1, *((i,) if left[i][1] else ())), (j + 1, *((j,) if right[j][1] else ()))
        found += [(a, b, True) for a in after[0] for b in after[1]]
    return found


def _meet(one: Ranges, other: Ranges) -> bool:
    return any(a <= d and c <= b for a, b in one for c, d in other)


def _parts(text: str) -> Parts:
    found: Parts = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char in "*+":
            if not found or found[-1][1]:
                raise Undefined
            found[-1] = (found[-1][0], char)
        elif char == ".":
            found.append((_ANY, ""))
        elif char == "[":
            ranges, at = _set(text, at)
            found.append((ranges, ""))
        elif char == "]":
            raise Undefined
        else:
            if char == "\\":
                char, at = _escaped(text, at)
            found.append((((ord(char), ord(char)),), ""))
    return [one for part in found for one in _once_and_more(*part)]


def _once_and_more(ranges: Ranges, flag: str) -> Parts:
    """`a+` is `aa*`."""
    return [(ranges, ""), (ranges, "*")] if flag == "+" else [(ranges, flag)]


def _set(text: str, at: int) -> tuple[Ranges, int]:
    ranges: list[tuple[int, int]] = []
    while True:
        if at >= len(text):
            raise Undefined
        char = text[at]
        at += 1
        if char == "]":
            if not ranges:
                raise Undefined
            return tuple(ranges), at
        if char == "\\":
            char, at = _escaped(text, at)
        last = char
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("", "]"):
            last, at = text[at + 1], at + 2
            if last == "\\":
                last, at = _escaped(text, at)
        if last < char:
            raise Undefined
        ranges.append((ord(char), ord(last)))


def _escaped(text: str, at: int) -> tuple[str, int]:
    if at >= len(text):
        raise Undefined
    return text[at], at + 1
