"""Statement: a logical line taken apart: keyword, flags, and arguments in the shape its instruction gives them.

The counterpart of BuildKit's parser/line_parsers.go: what is wrong here is wrong before any instruction is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from frontends.dockerfile.flags import Flags
from frontends.dockerfile.gotext import SPACE, quote
from frontends.dockerfile.grammar import Grammar, grammar
from frontends.dockerfile.instructions import Command, Document
from frontends.dockerfile.jsonarray import string_array
from frontends.dockerfile.lines import BLANKS, LogicalLine, split_instruction
from frontends.errors import ParseFault
from frontends.text import Lines


class Statement:
    """keyword: as written; text: the line without blanks around; rest: what is behind the flags.

    words: the arguments; of ENV and LABEL key and value by turns. is_array: they were a JSON array. legacy: they were
    `KEY VALUE`. trigger: the instruction of an ONBUILD.
    """

    def __init__(self, line: LogicalLine, escape: str) -> None:
        """Raises ParseFault without a place; the caller knows it."""
        self.grammar: Grammar = grammar(escape)
        self.line = line.text
        self.text = line.text.strip(SPACE)
        self.keyword, tail = split_instruction(line.text)
        self.name = self.keyword.upper()
        self.flags, rest = self.grammar.tail(tail)
        self.rest = rest.strip(SPACE)
        self.documents: tuple[Document, ...] = line.documents
        self.lines: Lines = line.lines
        self.comments = line.comments
        self.words: tuple[str, ...] = ()
        self.is_array = False
        self.legacy = False
        self.trigger: Statement | None = None
        if self.name in _SHAPES:
            _SHAPES[self.name](self)

    def single(self) -> str:
        """The one argument, which must be there."""
        if not self.words:
            raise ParseFault(f"{self.name} requires exactly one argument")
        return self.words[0]

    def at_least_one(self) -> tuple[str, ...]:
        if not self.words:
            raise ParseFault(f"{self.name} requires at least one argument")
        return self.words

    def command(self) -> Command:
        """A JSON array for exec, else one string for the shell."""
        return Command(self.words, not self.is_array, self.documents)

    def no_flags(self) -> None:
        Flags(self.flags, {})


def _array_or_text(s: Statement) -> None:
    array = string_array(s.rest)
    s.is_array = array is not None
    s.words = array if array is not None else (s.rest,) if s.rest else ()


def _array_or_words(s: Statement) -> None:
    array = string_array(s.rest)
    s.is_array = array is not None
    if array is not None:
        s.words = array
    else:
        _blank_separated(s)


def _blank_separated(s: Statement) -> None:
    s.words = tuple(BLANKS.split(s.rest)) if s.rest else ()


def _text(s: Statement) -> None:
    s.words = (s.rest,) if s.rest else ()


def _shell_words(s: Statement) -> None:
    s.words = s.grammar.words(s.rest)


def _pairs(s: Statement) -> None:
    words = s.grammar.words(s.rest)
    s.legacy = bool(words) and "=" not in words[0]
    if s.legacy:
        key, *value = BLANKS.split(s.rest, maxsplit=1)
        if not value:
            raise ParseFault(f"{s.name} must have two arguments", f"write {s.name} {key}=VALUE")
        s.words = (key, value[0])
        return
    found = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ParseFault(f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value")
        found += [key, text]
    s.words = tuple(found)


def _check(s: Statement) -> None:
    """HEALTHCHECK: its kind, then a command."""
    kind, rest = s.grammar.healthcheck(s.rest)
    array = string_array(rest)
    s.is_array = array is not None
    s.words = (*((kind,) if kind else ()), *(array if array is not None else (rest,) if rest else ()))


def _trigger(s: Statement) -> None:
    keyword = split_instruction(s.rest)[0]
    if keyword.upper() == "ONBUILD":
        s.words = (keyword,)  # which is refused: no need to follow a chain
    elif keyword:
        s.trigger = Statement(LogicalLine(s.rest, s.lines, (), s.documents), s.grammar.escape)
        s.words = (keyword, *s.trigger.words)


_SHAPES: dict[str, Callable[[Statement], None]] = {
    "ADD": _array_or_words, "ARG": _shell_words, "CMD": _array_or_text, "COPY": _array_or_words,
    "ENTRYPOINT": _array_or_text, "ENV": _pairs, "EXPOSE": _blank_separated, "FROM": _blank_separated,
    "HEALTHCHECK": _check, "LABEL": _pairs, "MAINTAINER": _text, "ONBUILD": _trigger, "RUN": _array_or_text,
    "SHELL": _array_or_text, "STOPSIGNAL": _text, "USER": _text, "VOLUME": _array_or_words, "WORKDIR": _text,
}  # fmt: skip
