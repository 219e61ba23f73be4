"""Ignore: which paths of a folder a `.dockerignore` hides.

Rules: moby/patternmatcher (MatchesUsingParentResults) over the patterns of pattern.py. Paths are `/`-separated,
relative, without a leading or trailing slash; bytes that are not UTF-8 are surrogate escapes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from builder.errors import SourceFault
from builder.source.pattern import BARE, DEEP, SLASH, clean, compiled, piece, split, tokenize, translate, variants

# Go's unicode.IsSpace, which is not Python's str.isspace.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_MOST_FORMS = 64  # sets of names' patterns that are compiled for a group; beyond, whole paths are matched

Form = Callable[[str], object]
"""Whether a name in one certain folder matches some patterns: true or not."""

Judge = Callable[[str], bool]
"""Whether a name in one certain folder is hidden."""


class _Pattern:
    """One pattern: in which folders a name may match it, and its matcher of names as text."""

    __slots__ = ("_matches", "split", "whole")

    def __init__(self, pattern: str) -> None:
        tokens = tokenize(pattern)
        self.whole = translate(tokens)
        self.split = split(tokens)
        self._matches: re.Pattern[str] | None = None

    def asked(self, folder: str, depth: int) -> bool:
        """Whether names in the folder (its path with a slash, "" for the root) can match; the split is at hand."""
        assert self.split is not None
        if self.split.folder is None:
            return True
        if self.split.depth not in (None, depth):
            return False
        if self._matches is None:
            self._matches = compiled(self.split.folder)
        return self._matches.match(folder) is not None


class _Group:
    """Neighbouring patterns of one sign: order does not matter inside."""

    def __init__(self, exception: bool, patterns: list[str]) -> None:
        self.exception = exception
        self._patterns = [_Pattern(text) for text in patterns]
        self._whole: re.Pattern[str] | None = None
        self._forms: dict[tuple[str, ...], Form] = {}

    def matches(self, path: str) -> bool:
        """Whether a pattern matches the path itself; those above it are not looked at."""
        if self._whole is None:
            self._whole = compiled("|".join(pattern.whole for pattern in self._patterns))
        return self._whole.match(path) is not None

    def form(self, folder: str) -> Form | None:
        """What tells of the names in a folder (its path with a slash) whether they match; None if none can."""
        depth, names = folder.count("/"), []
        for pattern in self._patterns:
            if pattern.split is None:
                return lambda name: self.matches(folder + name)
            if pattern.asked(folder, depth):
                names.append(pattern.split.name)
        if not names:
            return None
        form = self._forms.get(key := tuple(names))
        if form is None:
            if len(self._forms) == _MOST_FORMS:
                return lambda name: self.matches(folder + name)
            form = self._forms[key] = compiled("|".join(names)).match
        return form


class _Inside(msgspec.Struct, frozen=True):
    """What is known of a folder. marks: which groups matched it or one above it, and so all that is in it.

    forms: what the other groups match names with, None for those that match none. hides: the verdict of both.
    """

    marks: tuple[bool, ...]
    forms: tuple[Form | None, ...]
    hides: Judge


class Ignore:
    """A compiled list of patterns. What it says of folders is remembered."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises SourceFault on a pattern that Go's filepath.Match calls malformed."""
        signed = [_signed(text) for text in patterns if text.strip(_SPACE)]
        self._groups = tuple(_groups(signed))
        self._named = [pattern for exception, pattern in signed if exception]
        self._everything = any(not exception and p in ("*", "**", "**/*") for exception, p in signed)
        self._folders = {"": self._enter("", (False,) * len(self._groups))}

    @property
    def exceptions(self) -> bool:
        """Whether any pattern begins with `!`."""
        return bool(self._named)

    def hides(self, path: str) -> bool:
        """Whether path ("" for the root) is hidden whatever is below it: the lint rule CopyIgnoredFile's question."""
        return not self._named and (self.excluded(path) if path else self._everything)

    def excluded(self, path: str) -> bool:
        """Whether path is hidden. A leading slash means nothing."""
        folder, _, name = path.lstrip("/").rpartition("/")
        return self.inside(folder)(name)

    def inside(self, folder: str) -> Judge:
        """Says of the names in a folder ("" for the root) which are hidden."""
        known = self._folders.get(folder)
        if known is None:
            unknown, above = [], folder
            while above not in self._folders:
                unknown.append(above)
                above = above.rpartition("/")[0]
            known = self._folders[above]
            for path in reversed(unknown):
                marks = tuple(self._marks(path.rpartition("/")[2], known))
                known = self._folders[path] = self._enter(path + "/", marks)
        return known.hides

    def _enter(self, folder: str, marks: tuple[bool, ...]) -> _Inside:
        forms = tuple(None if mark else group.form(folder) for group, mark in zip(self._groups, marks, strict=True))
        return _Inside(marks, forms, self._judge(marks, forms))

    def _judge(self, marks: tuple[bool, ...], forms: tuple[Form | None, ...]) -> Judge:
        """The last group that matches decides, so they are asked from behind, down to one that is marked."""
        asked: list[tuple[Form, bool]] = []
        rest = False
        for group, mark, form in reversed(list(zip(self._groups, marks, forms, strict=True))):
            if mark:
                rest = not group.exception
                break
            if form is not None:
                asked.append((form, not group.exception))
        while asked and asked[-1][1] is rest:
            asked.pop()
        if not asked:
            return lambda name: rest
        if len(asked) == 1:
            [(only, hidden)] = asked
            return lambda name: hidden if only(name) else rest

        def judge(name: str) -> bool:
            for form, hidden in asked:
                if form(name):
                    return hidden
            return rest

        return judge

    def _marks(self, name: str, above: _Inside) -> Iterator[bool]:
        excluded = False
        for group, mark, form in zip(self._groups, above.marks, above.forms, strict=True):
            # A pattern that could not change the verdict is not tried, and leaves no mark for the children.
            if not mark and group.exception == excluded and form is not None:
                mark = bool(form(name))
            if mark:
                excluded = not group.exception
            yield mark

    @functools.cached_property
    def _exceptions(self) -> list[_Steps]:
        return [tuple(_steps(variant)) for pattern in self._named for variant in variants(tokenize(pattern))]

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
    for depth in range(1, len(parts) + 1):  # as Ignore.inside does, from the outermost folder on
        hidden, decides = False, None
        for index, group in enumerate(groups):
            if not marks[index] and group.exception == hidden:
                marks[index] = group.matches("/".join(parts[:depth]))
            if marks[index]:
                hidden, decides = not group.exception, rules[index]
    return decides


def _signed(text: str) -> tuple[bool, str]:
    pattern = clean(text.strip(_SPACE))
    if pattern == "!":
        raise SourceFault('illegal exclusion pattern: "!"', "write a path after the exclamation mark")
    return pattern.startswith("!"), pattern.removeprefix("!") if pattern.startswith("!") else pattern


def _groups(signed: list[tuple[bool, str]]) -> Iterator[_Group]:
    start = 0
    for end in range(1, len(signed) + 1):
        if end == len(signed) or signed[end][0] != signed[start][0]:
            yield _Group(signed[start][0], [pattern for _, pattern in signed[start:end]])
            start = end


_Steps = tuple[re.Pattern[str] | None, ...]


def _steps(tokens: list[str]) -> Iterator[re.Pattern[str] | None]:
    """One matcher for each segment of the pattern, None for one with `**` in it."""
    segment: list[str] = []
    for token in [*tokens, SLASH]:
        if token in (DEEP, BARE):
            yield None
            return
        if token == SLASH:
            yield compiled(piece(segment))
            segment = []
        else:
            segment.append(token)


def _reaches(steps: _Steps, segments: list[str]) -> bool:
    for step, segment in zip(steps, segments, strict=False):
        if step is None:
            return True
        if not step.match(segment):
            return False
    return len(steps) > len(segments)
