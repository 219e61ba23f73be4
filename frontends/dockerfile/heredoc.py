"""Heredocs: which ones an instruction's line announces. The escape character is always the backslash here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

# Words with quotes and escapes kept; blanks after `<<` belong to the word.
_WORD = re.compile(r"""(?:<<[\t\r ]*|[^\s'"\\<]|<|\\.|\\\Z|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)
_BLANKS = re.compile(r"\s*")
_HEREDOC = re.compile(r"[0-9]*<<(-?)\s*([^<]*)\Z")
_TABS = re.compile(r"^\t+", re.MULTILINE)


class Mark(msgspec.Struct, frozen=True):
    """`<<name`. expand: no part of the name was quoted; chomp: `<<-`."""

    name: str
    expand: bool
    chomp: bool


def marks(line: str) -> tuple[Mark, ...]:
    """The heredocs of an instruction's line, in order; none where a quote stays open."""
    words = _words(line)
    return tuple(found for word in words if (found := mark(word)) is not None) if words is not None else ()


def mark(word: str) -> Mark | None:
    """The heredoc that a word is, or None."""
    found = _HEREDOC.match(word)
    if found is None or not found[2]:
        return None
    pieces = _words(found[2])
    if pieces is None or len(pieces) != 1:
        return None
    name, quoted = _unquote(pieces[0])
    return Mark(name, not quoted, found[1] == "-") if name else None


def chomp(body: str) -> str:
    """The body without the tabs that its lines begin with."""
    return _TABS.sub("", body)


def _words(text: str) -> list[str] | None:
    found = []
    at = _end(_BLANKS, text, 0)
    while at < len(text):
        end = _end(_WORD, text, at)
        if end == at:
            return None
        found.append(text[at:end])
        at = _end(_BLANKS, text, end)
    return found


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _unquote(word: str) -> tuple[str, bool]:
    """The word without its quoting, and whether there was any (an escaped quote is none)."""
    name, quoted = "", False
    for piece in _pieces(word):
        if piece[0] in "'\"":
            quoted = True
            name += piece[1:-1] if piece[0] == "'" else re.sub(r'\\(["$\\])', r"\1", piece[1:-1])
        else:
            name += piece[1:] if piece[0] == "\\" else piece
    return name, quoted


def _pieces(word: str) -> Iterator[str]:
    return (found[0] for found in re.finditer(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.?|.""", word, re.DOTALL))
