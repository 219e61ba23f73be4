"""Heredocs: which ones an instruction's line announces. The escape character is always the backslash here."""

from __future__ import annotations

import re

import msgspec

from frontends.dockerfile.gotext import SPACE, quote
from frontends.errors import ParseFault

_HEREDOC = re.compile(r"[0-9]*<<(-?)[\t\n\f\r ]*([^<]*)\Z")
_NAME = re.compile(r"\d+|[@*#?\-$!]|[^\W\d]\w*|")
_AFTER_MARK = re.compile(r"<?[\t\r ]*")
_TABS = re.compile(r"^\t+", re.MULTILINE)
_DEEPEST = 64


class Mark(msgspec.Struct, frozen=True):
    """`<<name`. expand: no part of the name was quoted; chomp: `<<-`."""

    name: str
    expand: bool
    chomp: bool


def marks(line: str) -> tuple[Mark, ...]:
    """The heredocs of an instruction's line, in order; none where the line is no list of shell words.

    Raises ParseFault on a mark whose name is none: one that was cut out of an operand with blanks.
    """
    try:
        words = _Words(line, raw=True).split()
    except _Malformed:
        return ()
    found = []
    for word in words:
        try:
            found.append(_mark(word))
        except _Malformed as error:
            name = word.partition("<<")[2].lstrip("-").lstrip("\t\r ")
            raise ParseFault(
                f"failed to process {quote(name)}: {error}", "quote what is not meant as heredoc"
            ) from None
    return tuple(one for one in found if one is not None)


def mark(word: str) -> Mark | None:
    """The heredoc that a word is, or None."""
    try:
        return _mark(word)
    except _Malformed:
        return None


def chomp(body: str) -> str:
    """The body without the tabs that its lines begin with."""
    return _TABS.sub("", body)


def _mark(word: str) -> Mark | None:
    found = _HEREDOC.match(word)
    if found is None or not found[2]:
        return None
    lexer = _Words(found[2], raw=False)
    names = lexer.split()
    return Mark(names[0], not lexer.quoted, found[1] == "-") if len(names) == 1 else None


class _Malformed(Exception):
    """No list of shell words; the text says why in BuildKit's words."""


class _Words:
    """Splits a line as BuildKit's shell lexer does that knows no variable (shell/lex.go): `$x` and `${x}` stay.

    raw: quotes and escapes stay too. An operand (`${x:-here}`) is text, and the blanks in one part words. What a word
    holds before an operand is forgotten, which users can see: `<<A${x:-y}` announces nothing.
    """

    def __init__(self, text: str, *, raw: bool) -> None:
        self.quoted = False
        self._text, self._at, self._raw = text, 0, raw
        self._word, self._words = "", list[str]()
        self._depth = 0

    def split(self) -> list[str]:
        self._until("", escapes=self._raw)
        self._end_word()
        return self._words

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        ch = self._peek()
        self._at += len(ch)
        return ch

    def _end_word(self) -> None:
        if self._word:
            self._words.append(self._word)
            self._word = ""

    def _until(self, stop: str, *, escapes: bool) -> str:
        """What is before the next `stop`, or before the end if that is "". escapes: whether they stay."""
        out: list[str] = []
        while ch := self._peek():
            if ch == stop:
                self._take()
                return "".join(out)
            if ch == "$":
                text = self._dollar()
                for part in text:
                    self._add(part)
            elif ch in "'\"":
                text = self._single() if ch == "'" else self._double(escapes)
                self._word += text
            elif ch == "<":
                text = self._angle()
                self._word += text
            else:
                text = self._character(escapes)
            out.append(text)
        if stop:
            raise _Malformed(f"unexpected end of statement while looking for matching {stop}")
        return "".join(out)

    def _add(self, ch: str) -> None:
        if ch in SPACE:
            self._end_word()
        else:
            self._word += ch

    def _character(self, escapes: bool) -> str:
        ch = self._take()
        if ch != "\\":
            self._add(ch)
            return ch
        text = ("\\" if escapes else "") + self._take()
        self._word += text
        return text

    def _angle(self) -> str:
        """`<`, or `<<` with the blanks behind it, which belong to the word."""
        self._take()
        if self._peek() != "<":
            return "<"
        match = _AFTER_MARK.match(self._text, self._at)
        text = match[0] if match else ""
        self._at += len(text)
        return "<" + text

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise _Malformed("unexpected end of statement while looking for matching single-quote")
        inner, self._at, self.quoted = self._text[self._at + 1 : end], end + 1, True
        return f"'{inner}'" if self._raw else inner

    def _double(self, escapes: bool) -> str:
        self._take()
        out, self.quoted = [], True
        while ch := self._peek():
            if ch == "$":
                out.append(self._dollar())
                continue
            self._take()
            if ch == '"':
                inner = "".join(out)
                return f'"{inner}"' if self._raw else inner
            if ch == "\\":
                out.append("\\" if escapes else "")
                ch = self._take() if self._peek() in ('"', "$", "\\") else ch
            out.append(ch)
        raise _Malformed("unexpected end of statement while looking for matching double-quote")

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        name = match[0] if match else ""
        self._at += len(name)
        return name

    def _dollar(self) -> str:
        self._take()
        if self._peek() != "{":
            return "$" + self._name()
        self._take()
        if self._peek() in ("", "{", "}", ":"):
            raise _Malformed("syntax error: bad substitution" if self._peek() else "syntax error: missing '}'")
        name, operator = self._name(), self._take()
        if operator == "}":
            return f"${{{name}}}"
        if operator == "/":
            self._at += self._peek() == "/"
            pattern = self._operand("/", escapes=True)
            return f"${{{name}/{pattern}/{self._operand('}', escapes=True)}}}"
        colon = operator == ":"
        operator += self._take() if colon else ""
        if (operator in (":#", ":%")) if colon else (operator == "" or operator not in "+-?#%"):
            raise _Malformed(f"unsupported modifier ({operator}) in substitution")
        return f"${{{name}{operator}{self._operand('}', escapes=operator in '#%')}}}"

    def _operand(self, stop: str, *, escapes: bool) -> str:
        if self._depth == _DEEPEST:
            raise _Malformed(f"variables are nested more than {_DEEPEST} deep")
        outer, self._words = self._words, []
        self._word = ""
        self._depth += 1
        try:
            text = self._until(stop, escapes=escapes)
        except _Malformed as error:
            if self._peek():
                raise
            missing = "syntax error: missing '/' in ${}" if stop == "/" else "syntax error: missing '}'"
            raise _Malformed(missing) from error
        self._words, self._word = outer, ""
        self._depth -= 1
        return text
