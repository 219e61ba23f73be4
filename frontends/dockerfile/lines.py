"""Logical lines: a Dockerfile's text cut into instructions, with comments, continuation and heredocs settled.

Written by hand and not as a grammar, since the text itself names its escape character and its heredocs' end marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from frontends.dockerfile import heredoc
from frontends.dockerfile.directives import Directives
from frontends.dockerfile.gotext import SPACE
from frontends.dockerfile.grammar import grammar
from frontends.dockerfile.instructions import Document
from frontends.dockerfile.jsonarray import string_array
from frontends.errors import FrontendFault, ParseFault
from frontends.text import Lines, Source

LONGEST_LINE = 65535  # bytes, the limit of BuildKit's reader
BLANKS = re.compile(r"[\t\v\f\r ]+")
_WITH_HEREDOCS = ("run", "copy", "add")


class LogicalLine(msgspec.Struct, frozen=True):
    """One instruction: its lines joined, without the bodies of its heredocs, which are in documents.

    blank: the last line of the text, where a continuation line was empty, else 0.
    """

    text: str
    lines: Lines
    comments: tuple[str, ...]
    documents: tuple[Document, ...]
    blank: int = 0


class Reader:
    """Cuts one source; directives are known once the first line has been asked for."""

    def __init__(self, source: Source) -> None:
        self.directives = Directives()
        self._source = source
        data = source.data.removeprefix(b"\xef\xbb\xbf")
        self._raw = data.split(b"\n")
        if self._raw[-1] == b"":
            self._raw.pop()
        self._at = 0

    def __iter__(self) -> Iterator[LogicalLine]:
        """Raises ParseFault with the place of what cannot be read."""
        comments: list[str] = []
        while self._at < len(self._raw):
            first = self._at + 1
            try:
                raw = self._next().rstrip("\r")
                line = raw.lstrip(SPACE)
                if self.directives.read(_readable(line) if line.startswith("#") else line):
                    continue
                if line.startswith("#"):
                    # One character is taken off whatever it is: the mark of a comment with blanks before it stays.
                    text = _readable(raw[1:].strip(SPACE))
                    if text:
                        comments.append(text)
                    else:
                        comments = []
                elif line:
                    yield self._logical(line, first, tuple(comments))
                    comments = []
            except FrontendFault as error:
                raise error.at(self._source, Lines(first, max(self._at, first))) from None

    def _logical(self, line: str, first: int, comments: tuple[str, ...]) -> LogicalLine:
        text, more = self._continued(line)
        parts, blank = [text], False
        while more and self._at < len(self._raw):
            line = self._next().rstrip("\r")
            bare = line.lstrip(SPACE)
            if bare.startswith("#"):
                continue
            if not bare:
                blank = True
                continue
            text, more = self._continued(line)
            parts.append(text)
        joined = "".join(parts)
        _check_text(joined, "instruction")
        if "\0" in joined:
            raise ParseFault("instruction holds a NUL byte", "no path, variable or argument can hold one")
        last = self._at
        documents = tuple(self._documents(joined)) if "<<" in joined else ()
        return LogicalLine(joined, Lines(first, self._at), comments, documents, last if blank else 0)

    def _next(self) -> str:
        raw = self._raw[self._at]
        self._at += 1
        if len(raw) > LONGEST_LINE:
            raise ParseFault(f"dockerfile line greater than max allowed size of {LONGEST_LINE}")
        return raw.decode("utf-8", "surrogateescape")

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without its continuation mark, and whether it had one. A doubled mark is none."""
        escape = self.directives.escape
        bare = line.rstrip(" \t")
        if bare.endswith(escape) and not bare.endswith(escape * 2):
            return bare[:-1], True
        return line, False

    def _documents(self, text: str) -> Iterator[Document]:
        if not _may_have_heredocs(text, self.directives.escape):
            return
        for mark in heredoc.marks(text):
            body: list[str] = []
            while True:
                if self._at >= len(self._raw):
                    raise ParseFault("unterminated heredoc", f"end it with a line that holds {mark.name} alone")
                line = self._next()
                end = line.rstrip("\r")
                if (end.lstrip("\t") if mark.chomp else end) == mark.name:
                    break
                body.append(line + "\n")
            data = "".join(body)
            _check_text(data, "heredoc")
            yield Document(mark.name, mark.expand, mark.chomp, data)


def split_instruction(text: str) -> tuple[str, str]:
    """The instruction's word as written, and the rest; both without blanks around."""
    word, *rest = BLANKS.split(text.strip(SPACE), maxsplit=1)
    return word, rest[0].strip(SPACE) if rest else ""


def _check_text(text: str, what: str) -> None:
    if not text.isascii() and any("\udc80" <= ch <= "\udcff" for ch in text):
        raise ParseFault(f"{what} is not valid UTF-8", "save the file as UTF-8")


def _may_have_heredocs(text: str, escape: str) -> bool:
    word, rest = split_instruction(text)
    rest = grammar(escape).tail(rest)[1].strip(SPACE)
    if word.lower() == "onbuild":
        word, rest = split_instruction(rest)
        rest = grammar(escape).tail(rest)[1].strip(SPACE)
    return word.lower() in _WITH_HEREDOCS and string_array(rest) is None


def _readable(comment: str) -> str:
    """A comment is kept as UTF-8 whatever its bytes are."""
    return comment.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
