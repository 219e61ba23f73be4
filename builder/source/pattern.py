"""Patterns of Go's filepath.Match, and with `**` those of moby/patternmatcher, as regular expressions of Python.

Paths are `/`-separated, relative, without a leading or trailing slash; bytes that are not UTF-8 are surrogate escapes.
"""

from __future__ import annotations

import functools
import posixpath
import re
from itertools import pairwise
from typing import NamedTuple

from builder.errors import SourceFault

STAR, DEEP, BARE, SLASH = "*", "**/", "**", "/"
_ESCAPED_SLASH = "(?:/)"
_NO_SLASH = "(?!/)"
_MOST_VARIANTS = 64


class Split(NamedTuple):
    """A pattern that matches a path just if one expression matches the folder, with its slash, and one the name.

    depth: the slashes of each folder that matches; None where they differ. folder: None matches every one.
    """

    depth: int | None
    folder: str | None
    name: str


class _WithSlash(str):
    """A token: a character class that holds a slash too, as `[^a]` does in an ignore file."""

    __slots__ = ()


def match_wildcard(pattern: str, name: str) -> bool:
    """Go's filepath.Match: `*` and `?` stop at `/`, `[a-z]`, `[^a]`, `\\` escapes. Raises SourceFault if malformed."""
    return _wildcard(pattern).match(name) is not None


def clean(path: str) -> str:
    """Go's path.Clean: the shortest equal name, `.` for nothing."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


@functools.lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> re.Pattern[str]:
    return compiled(piece(tokenize(pattern, deep=False)))


def compiled(expression: str) -> re.Pattern[str]:
    """An expression that this file made, for a whole text."""
    return re.compile(f"(?s:{expression})\\Z")


def tokenize(pattern: str, deep: bool = True) -> list[str]:
    """The pattern as `*`, `**` (with the slash after it), `/` and regular expressions of one character each."""
    tokens: list[str] = []
    at = 0
    while at < len(pattern):
        ch = pattern[at]
        at += 1
        if ch == "*" and deep and pattern.startswith("*", at):
            slash = pattern.startswith("/", at + 1)
            at += 2 if slash else 1
            tokens.append(DEEP if slash else BARE)
        elif ch == "*":
            if tokens[-1:] != [STAR]:
                tokens.append(STAR)
        elif ch == "?":
            tokens.append("[^/]")
        elif ch == "[":
            token, at = _character_class(pattern, at)
            slash = deep and re.match(token.removeprefix(_NO_SLASH), "/") is not None
            tokens.append(_WithSlash(token) if slash else token)
        elif ch == "\\":
            if at == len(pattern):
                raise _malformed(pattern)
            tokens.append(f"(?:{re.escape(pattern[at])})")  # not the bare character: see _plain
            at += 1
        else:
            tokens.append(SLASH if ch == "/" else re.escape(ch))
    return tokens


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern.startswith("^", at)
    at += negated
    start, ranges = at, ""
    while at == start or not pattern.startswith("]", at):
        low, at = _class_member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_member(pattern, at + 1)
        if low <= high:
            ranges += f"{re.escape(low)}-{re.escape(high)}"
    if not ranges:
        return (f"{_NO_SLASH}(?s:.)" if negated else "(?!)"), at + 1
    return f"{_NO_SLASH}[{'^' if negated else ''}{ranges}]", at + 1


def _class_member(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise _malformed(pattern)
    if pattern[at] == "\\":
        at += 1
    if at >= len(pattern) - 1:  # a class never ends with its last member
        raise _malformed(pattern)
    return pattern[at], at + 1


def _malformed(pattern: str) -> SourceFault:
    return SourceFault(f"syntax error in pattern: {pattern!r}", "see `*`, `?`, `[a-z]` and `\\` in Go's filepath.Match")


def split(tokens: list[str]) -> Split | None:
    """The pattern in two; None where what matches a name cannot be told from what matches its folder."""
    if tokens[:1] == [BARE] and SLASH not in tokens and _plain(tokens[1:]):
        folder, name = [DEEP], [STAR, *tokens[1:]]
    elif tokens[-1:] == [BARE]:
        folder, name = [*tokens[:-1], DEEP], [STAR]
    else:
        end = len(tokens)
        while end and tokens[end - 1] not in (SLASH, DEEP):
            end -= 1
        folder, name = tokens[:end], tokens[end:]
    joined = any(token == DEEP and before not in (SLASH, DEEP) for before, token in pairwise(folder))
    if not name or joined or BARE in folder or BARE in name or any(map(_holds_slash, name)):
        return None
    if folder == [DEEP]:
        return Split(None, None, piece(name))
    fixed = DEEP not in folder and not any(map(_holds_slash, folder))
    return Split(folder.count(SLASH) if fixed else None, _alternatives(folder), piece(name))


def _holds_slash(token: str) -> bool:
    """Whether a token of one character may be a slash that does not end a segment."""
    return isinstance(token, _WithSlash) or token == _ESCAPED_SLASH


def _plain(tokens: list[str]) -> bool:
    return all(len(token.removeprefix("\\")) == 1 and token != STAR for token in tokens)


# A pattern is hostile input and Python's matcher backtracks, so every wildcard but the last of its kind is put in an
# atomic group: taking the earliest match of what follows a wildcard never loses a match, and keeps the time linear.


def translate(tokens: list[str]) -> str:
    if tokens[:1] == [BARE] and _plain(tokens[1:]):
        # `**.log`: moby/patternmatcher compares the end of the path as text, but not with an escape in it: `**\.log`
        return ".*" + piece(tokens[1:])
    return _alternatives(tokens)


def _alternatives(tokens: list[str]) -> str:
    return "|".join(map(_expression, variants(tokens)))


def variants(tokens: list[str]) -> list[list[str]]:
    """The tokens with and without a slash for each class that matches one; of many classes, for the first few."""
    found: list[list[str]] = [[]]
    for token in tokens:
        if isinstance(token, _WithSlash) and len(found) < _MOST_VARIANTS:
            found = [[*start, choice] for start in found for choice in (token, SLASH)]
        else:
            for start in found:
                start.append(token)
    return found


def _expression(tokens: list[str]) -> str:
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token in (DEEP, BARE):
            pieces.append([])
        else:
            pieces[-1].append(token)
    if len(pieces) == 1:
        return piece(tokens)
    expression = piece(pieces[0])
    for inner in filter(None, pieces[1:-1]):
        body = f"(?:[^/]*/)*?{piece(inner)}"
        expression += f"(?>{body})" if inner[-1] == SLASH else f"(?:{body})"
    return expression + (f"(?:.*/)?{piece(pieces[-1])}" if pieces[-1] else ".*")


def piece(tokens: list[str]) -> str:
    segments: list[str] = []
    current: list[list[str]] = [[]]
    for token in [*tokens, SLASH]:
        if token == SLASH:
            segments.append(_segment(current))
            current = [[]]
        elif token == STAR:
            current.append([])
        else:
            current[-1].append(token)
    return "/".join(segments)


def _segment(runs: list[list[str]]) -> str:
    texts = ["".join(run) for run in runs]
    if len(texts) == 1:
        return texts[0]
    return texts[0] + "".join(f"(?>[^/]*?{text})" for text in texts[1:-1]) + f"[^/]*{texts[-1]}"
