"""A second ignore matcher: one segment at a time, one character at a time, every choice tried. The oracle of ignore.py.

Takes exponential time, so it is for short patterns only. `**` that is no segment of its own is compared as text, and
`[^a]` holds a slash, as in moby/patternmatcher.
"""

from __future__ import annotations

from collections.abc import Iterable


def hidden(patterns: Iterable[str], path: str) -> bool:
    """Whether the patterns (as read_patterns gives them, well formed) hide the path: the last that says so counts."""
    rules = list(patterns)
    marks = [False] * len(rules)  # of the folder above, which all below it inherit
    verdict = False
    for member in [*(path[:at] for at, ch in enumerate(path) if ch == "/"), path]:
        verdict = False
        for number, rule in enumerate(rules):
            exception = rule.startswith("!")
            if not marks[number] and exception == verdict:
                pattern = rule.removeprefix("!")
                plain = pattern.startswith("**") and not set(pattern[2:]) & set("*?[]\\")
                marks[number] = _tail(pattern[2:], member) if plain else _match(pattern, member)
            verdict = not exception if marks[number] else verdict
    return verdict


def _tail(rest: str, text: str) -> bool:
    return text.endswith(rest) or (rest[:1] == "/" and text == rest[1:])


def _match(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern.startswith("**"):
        rest = pattern[2:].removeprefix("/")
        if not rest:
            return True
        starts = [0, *(at + 1 for at, ch in enumerate(text) if ch == "/")]
        return any(_match(rest, text[at:]) for at in starts)
    if pattern[0] == "*":
        for at in range(len(text) + 1):
            if _match(pattern[1:], text[at:]):
                return True
            if text[at : at + 1] == "/":
                return False
        return False
    if not text:
        return False
    if pattern[0] == "?":
        return text[0] != "/" and _match(pattern[1:], text[1:])
    if pattern[0] == "[":
        found, rest = _class(pattern[1:], text[0])
        return found and _match(rest, text[1:])
    literal = pattern[1] if pattern[0] == "\\" else pattern[0]
    return text[0] == literal and _match(pattern[2 if pattern[0] == "\\" else 1 :], text[1:])


def _class(rest: str, ch: str) -> tuple[bool, str]:
    negated = rest.startswith("^")
    rest = rest[negated:]
    found, first = False, True
    while first or rest[0] != "]":
        first = False
        rest = rest[1:] if rest[0] == "\\" else rest
        low, rest = rest[0], rest[1:]
        high = low
        if rest[0] == "-":
            rest = rest[2:] if rest[1] == "\\" else rest[1:]
            high, rest = rest[0], rest[1:]
        found |= low <= ch <= high
    return found != negated, rest[1:]
