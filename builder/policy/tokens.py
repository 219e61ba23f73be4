"""Tokens of a Rego module: as much of the language as it takes to know which names a policy uses, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from builder.errors import PolicyFault

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+)|(?P<line>\n)|(?P<comment>\#[^\n]*)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<template>\$["`])|(?P<raw>`[^`]*`)|(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<mark>:=|==|!=|<=|>=|[][(){}.,:;=<>+\-*/%&|])""",
    re.ASCII | re.VERBOSE,
)


class Token(msgspec.Struct, frozen=True):
    """kind: name, number, string, mark, or template for a piece of text of a template string.

    text: of a string, what is between its quotes. line: from 1. joined: nothing is between it and the token before.
    offset: in characters. raw: a string without escapes. begins, ends: the first and the last text of a template.
    """

    kind: str
    text: str
    line: int
    offset: int
    joined: bool = False
    raw: bool = False
    begins: bool = False
    ends: bool = False


def tokens(text: str, where: str) -> tuple[Token, ...]:
    """Those within `{}` of a template, too. Raises PolicyFault, with the line, for what no token begins with."""
    return tuple(_Lexer(text, where).run())


class _Lexer:
    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self._at = 0
        self._line = 1

    def run(self, inside: bool = False) -> Iterator[Token]:
        """inside: up to the brace that ends an expression of a template."""
        joined, depth = False, 0
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None or found.lastgroup is None:
                raise self._bad(f"unexpected {self._text[self._at]!r}")
            kind, text, line = found.lastgroup, found[0], self._line
            if kind == "mark" and inside and text == "}" and not depth:
                return
            depth += {"{": 1, "}": -1}.get(text, 0) if kind == "mark" else 0
            self._at = found.end()
            self._line += text.count("\n")
            if kind in ("space", "line", "comment"):
                joined = False
                continue
            if kind == "template":
                yield from self._template(text[1])
            else:
                quoted = kind in ("raw", "string")
                said = text[1:-1] if quoted else text
                yield Token("string" if quoted else kind, said, line, found.start(), joined, kind == "raw")
            joined = True
        if inside:
            raise self._bad("a template string is not ended")

    def _template(self, quote: str) -> Iterator[Token]:
        begin, line, first = self._at, self._line, True
        while self._at < len(self._text):
            char = self._text[self._at]
            said = self._text[begin : self._at]
            if char == quote:
                yield Token("template", said, line, begin, raw=quote == "`", begins=first, ends=True)
                self._at += 1
                return
            if char == "\\":
                self._at += 2
            elif char == "{":
                yield Token("template", said, line, begin, raw=quote == "`", begins=first)
                self._at += 1
                yield from self.run(inside=True)
                self._at += 1
                begin, line, first = self._at, self._line, False
            else:
                self._line += char == "\n"
                self._at += 1
        raise self._bad("a template string is not ended")

    def _bad(self, problem: str) -> PolicyFault:
        return PolicyFault(f"{self._where}:{self._line}: rego_parse_error: {problem}")
