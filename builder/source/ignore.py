"""Ignore: which paths of a folder a `.dockerignore` hides, and Go's filepath.Match that its patterns are made of.

Rules: moby/patternmatcher (MatchesUsingParentResults) and Go's path/filepath (Clean, Match). Paths are `/`-separated,
relative, without a leading or trailing slash; bytes that are not UTF-8 are surrogate escapes.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable, Iterator

import msgspec

from builder.errors import SourceFault

# Go's unicode.IsSpace, which is not Python's str.isspace.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_STAR, _DEEP, _BARE, _SLASH = "*", "**/", "**", "/"
_NO_SLASH = "(?!/)"
_MOST_VARIANTS = 64


class _WithSlash(str):
    """A token: a character class that holds a slash too, as `[^a]` does in an ignore file."""

    __slots__ = ()


class Verdict(msgspec.Struct, frozen=True):
    """What the patterns say of one path. marks: which groups of patterns matched it or a parent; for its children."""

    excluded: bool
    marks: tuple[bool, ...]


class _Group(msgspec.Struct, frozen=True):
    """Neighbouring patterns of one sign: order does not matter inside."""

    exception: bool
    matches: re.Pattern[str]


class Ignore:
    """A compiled list of patterns. Walkers pass a directory's verdict to its children; `excluded` does it for them."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises SourceFault on a pattern that Go's filepath.Match calls malformed."""
        signed = [_signed(text) for text in patterns if text.strip(_SPACE)]
        self._groups = tuple(_groups(signed))
        named = [_tokens(pattern) for exception, pattern in signed if exception]
        self._exceptions = tuple(tuple(_steps(variant)) for tokens in named for variant in _variants(tokens))
        self._everything = any(not exception and p in ("*", "**", "**/*") for exception, p in signed)
        self.root = Verdict(False, (False,) * len(self._groups))
        self._folders: dict[str, Verdict] = {"": self.root}

    @property
    def exceptions(self) -> bool:
        """Whether any pattern begins with `!`."""
        return bool(self._exceptions)

    def hides(self, path: str) -> bool:
        """Whether path ("" for the root) is hidden whatever is below it: the lint rule CopyIgnoredFile's question."""
        return not self._exceptions and (self.excluded(path) if path else self._everything)

    def verdict(self, path: str, parent: Verdict) -> Verdict:
        """Judge a path, given its parent directory's verdict (`root` for entries of the root)."""
        excluded = False
        marks = []
        for group, mark in zip(self._groups, parent.marks, strict=True):
            # A pattern that could not change the verdict is not tried, and leaves no mark for the children.
            if not mark and group.exception == excluded:
                mark = group.matches.match(path) is not None
            if mark:
                excluded = not group.exception
            marks.append(mark)
        return Verdict(excluded, tuple(marks))

    def excluded(self, path: str) -> bool:
        """Whether path is hidden; the verdicts of its parents are remembered. A leading slash means nothing."""
        path = path.lstrip("/")
        return self.verdict(path, self._folder(posixpath.dirname(path))).excluded

    def _folder(self, path: str) -> Verdict:
        unknown = []
        while path not in self._folders:
            unknown.append(path)
            path = posixpath.dirname(path)
        known = self._folders[path]
        for folder in reversed(unknown):
            known = self._folders[folder] = self.verdict(folder, known)
        return known

    def descend(self, path: str) -> bool:
        """Whether an excluded directory must still be walked, since a `!` pattern can name something below it."""
        segments = path.split("/")
        return any(_reaches(pattern, segments) for pattern in self._exceptions)


def read_patterns(text: bytes) -> tuple[str, ...]:
    """The patterns of an ignore file: comments and blanks dropped, paths cleaned, `!` kept in front."""
    return tuple(pattern for _, pattern in numbered_patterns(text))


def numbered_patterns(text: bytes) -> list[tuple[int, str]]:
    """The same, each with the number of its line, counted from 1."""
    found = []
    lines = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not (pattern := line.strip(_SPACE)):
            continue
        sign = "!" if pattern.startswith("!") else ""
        pattern = pattern.removeprefix("!").strip(_SPACE) if sign else pattern
        if pattern:
            pattern = clean(pattern)
            pattern = pattern[1:] if len(pattern) > 1 and pattern[0] == "/" else pattern
        found.append((number, sign + pattern))
    return found


class Rule(msgspec.Struct, frozen=True):
    """A line of an ignore file, counted from 1, and its pattern."""

    line: int
    pattern: str

    @property
    def hides(self) -> bool:
        """Whether what it decides is hidden by it, and not let in."""
        return not self.pattern.startswith("!")


def deciding(text: bytes, path: str) -> Rule | None:
    """The rule of an ignore file by which a path is hidden or shown; None if none says anything of it."""
    rules = [Rule(line, pattern) for line, pattern in numbered_patterns(text)]
    groups = [next(_groups([_signed(rule.pattern)])) for rule in rules]
    marks = [False] * len(rules)
    parts, decides = path.strip("/").split("/"), None
    for depth in range(1, len(parts) + 1):  # as Ignore.verdict does, from the outermost folder on
        hidden, decides = False, None
        for index, group in enumerate(groups):
            if not marks[index] and group.exception == hidden:
                marks[index] = group.matches.match("/".join(parts[:depth])) is not None
            if marks[index]:
                hidden, decides = not group.exception, rules[index]
    return decides


def match_wildcard(pattern: str, name: str) -> bool:
    """Go's filepath.Match: `*` and `?` stop at `/`, `[a-z]`, `[^a]`, `\\` escapes. Raises SourceFault if malformed."""
    return _wildcard(pattern).match(name) is not None


def clean(path: str) -> str:
    """Go's path.Clean: the shortest equal name, `.` for nothing."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _signed(text: str) -> tuple[bool, str]:
    pattern = clean(text.strip(_SPACE))
    if pattern == "!":
        raise SourceFault('illegal exclusion pattern: "!"', "write a path after the exclamation mark")
    return pattern.startswith("!"), pattern.removeprefix("!") if pattern.startswith("!") else pattern


def _groups(signed: list[tuple[bool, str]]) -> Iterator[_Group]:
    start = 0
    for end in range(1, len(signed) + 1):
        if end == len(signed) or signed[end][0] != signed[start][0]:
            choices = "|".join(_translate(_tokens(pattern)) for _, pattern in signed[start:end])
            yield _Group(signed[start][0], re.compile(f"(?s:{choices})\\Z"))
            start = end


@functools.lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?s:{_piece(_tokens(pattern, deep=False))})\\Z")


def _steps(tokens: list[str]) -> Iterator[re.Pattern[str] | None]:
    """One matcher for each segment of the pattern, None for one with `**` in it."""
    segment: list[str] = []
    for token in [*tokens, _SLASH]:
        if token in (_DEEP, _BARE):
            yield None
            return
        if token == _SLASH:
            yield re.compile(f"(?s:{_piece(segment)})\\Z")
            segment = []
        else:
            segment.append(token)


def _reaches(steps: tuple[re.Pattern[str] | None, ...], segments: list[str]) -> bool:
    for step, segment in zip(steps, segments, strict=False):
        if step is None:
            return True
        if not step.match(segment):
            return False
    return len(steps) > len(segments)


def _tokens(pattern: str, deep: bool = True) -> list[str]:
    """The pattern as `*`, `**` (with the slash after it), `/` and regular expressions of one character each."""
    tokens: list[str] = []
    at = 0
    while at < len(pattern):
        ch = pattern[at]
        at += 1
        if ch == "*" and deep and pattern.startswith("*", at):
            slash = pattern.startswith("/", at + 1)
            at += 2 if slash else 1
            tokens.append(_DEEP if slash else _BARE)
        elif ch == "*":
            if tokens[-1:] != [_STAR]:
                tokens.append(_STAR)
        elif ch == "?":
            tokens.append("[^/]")
        elif ch == "[":
            token, at = _character_class(pattern, at)
            slash = deep and re.match(token.removeprefix(_NO_SLASH), "/") is not None
            tokens.append(_WithSlash(token) if slash else token)
        elif ch == "\\":
            if at == len(pattern):
                raise _malformed(pattern)
            tokens.append(f"(?:{re.escape(pattern[at])})")  # not the bare character: see _translate
            at += 1
        else:
            tokens.append(_SLASH if ch == "/" else re.escape(ch))
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


# A pattern is hostile input and Python's matcher backtracks, so every wildcard but the last of its kind is put in an
# atomic group: taking the earliest match of what follows a wildcard never loses a match, and keeps the time linear.


def _translate(tokens: list[str]) -> str:
    if tokens[:1] == [_BARE] and all(len(token.removeprefix("\\")) == 1 and token != _STAR for token in tokens[1:]):
        # `**.log`: moby/patternmatcher compares the end of the path as text, but not with an escape in it: `**\.log`
        return ".*" + _piece(tokens[1:])
    return "|".join(map(_expression, _variants(tokens)))


def _variants(tokens: list[str]) -> list[list[str]]:
    """The tokens with and without a slash for each class that matches one; of many classes, for the first few."""
    found: list[list[str]] = [[]]
    for token in tokens:
        if isinstance(token, _WithSlash) and len(found) < _MOST_VARIANTS:
            found = [[*start, choice] for start in found for choice in (token, _SLASH)]
        else:
            for start in found:
                start.append(token)
    return found


def _expression(tokens: list[str]) -> str:
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token in (_DEEP, _BARE):
            pieces.append([])
        else:
            pieces[-1].append(token)
    if len(pieces) == 1:
        return _piece(tokens)
    expression = _piece(pieces[0])
    for piece in filter(None, pieces[1:-1]):
        body = f"(?:[^/]*/)*?{_piece(piece)}"
        expression += f"(?>{body})" if piece[-1] == _SLASH else f"(?:{body})"
    return expression + (f"(?:.*/)?{_piece(pieces[-1])}" if pieces[-1] else ".*")


def _piece(tokens: list[str]) -> str:
    segments: list[str] = []
    current: list[list[str]] = [[]]
    for token in [*tokens, _SLASH]:
        if token == _SLASH:
            segments.append(_segment(current))
            current = [[]]
        elif token == _STAR:
            current.append([])
        else:
            current[-1].append(token)
    return "/".join(segments)


def _segment(runs: list[list[str]]) -> str:
    texts = ["".join(run) for run in runs]
    if len(texts) == 1:
        return texts[0]
    return texts[0] + "".join(f"(?>[^/]*?{text})" for text in texts[1:-1]) + f"[^/]*{texts[-1]}"
