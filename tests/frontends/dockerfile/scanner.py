"""A second expander of words: reads and expands in one pass, as BuildKit's shell/lex.go does. The oracle of words.py.

It shares nothing with the grammar. Patterns become regular expressions of Python's, so it is for short texts only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


class Refused(Exception):
    """The text cannot be expanded."""


class Scanner:
    def __init__(self, text: str, env: Mapping[str, str], escape: str = "\\", *, quotes: bool = True) -> None:
        self._rest = text
        self._env = env
        self._escape = escape
        self._quotes = "'\"" if quotes else ""

    def expand(self) -> str:
        return self._until("", raw=False)

    def _take(self, count: int = 1) -> str:
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def _until(self, stop: str, *, raw: bool) -> str:
        out = ""
        while self._rest:
            if stop and self._rest[0] == stop:
                self._take()
                return out
            if self._rest[0] == "$":
                out += self._dollar()
                continue
            ch = self._take()
            if ch in self._quotes:
                out += self._single() if ch == "'" else self._double(raw=raw)
            elif ch == self._escape:
                out += (ch if raw else "") + self._take()
            else:
                out += ch
        if stop:
            raise Refused(f"no {stop}")
        return out

    def _single(self) -> str:
        text, closed, self._rest = self._rest.partition("'")
        if not closed:
            raise Refused("open quote")
        return text

    def _double(self, *, raw: bool) -> str:
        out = ""
        while self._rest:
            if self._rest[0] == "$":
                out += self._dollar()
                continue
            ch = self._take()
            if ch == '"':
                return out
            if ch == self._escape:
                out += ch if raw else ""
                if self._rest and self._rest[0] in ('"', "$", self._escape):
                    ch = self._take()
            out += ch
        raise Refused("open quote")

    def _name(self) -> str:
        found = re.match(r"\d+|[@*#?\-$!]|[^\W\d]\w*|", self._rest)
        return self._take(found.end()) if found else ""

    def _dollar(self) -> str:
        self._take()
        if not self._rest.startswith("{"):
            name = self._name()
            return self._env.get(name, "") if name else "$"
        self._take()
        if self._rest[:1] in ("", "{", "}", ":"):
            raise Refused("bad substitution")
        name = self._name()
        value = self._env.get(name)
        operator = self._take()
        if operator == "}":
            return value or ""
        if operator == "/":
            return self._replace(value or "")
        colon = operator == ":"
        operator = self._take() if colon else operator
        if operator == "" or operator not in ("-+?" if colon else "-+?#%"):
            raise Refused("modifier")
        word = self._until("}", raw=operator in "#%")
        if operator in "#%":
            return _cut(operator, word, value or "")
        given = value is not None and (value != "" or not colon)
        if operator == "+":
            return word if given else ""
        if operator == "?" and not given:
            raise Refused(f"{name}: {word}")
        return (value or "") if given else word

    def _replace(self, value: str) -> str:
        every = self._rest.startswith("/")
        if every:
            self._take()
        pattern = self._until("/", raw=True)
        replacement = self._until("}", raw=True)
        return re.sub(_regex(pattern, ".*"), lambda _: replacement, value, count=0 if every else 1)


def _cut(operator: str, word: str, value: str) -> str:
    greedy = word.startswith(operator)
    word = word[greedy:]
    expression = re.compile(_regex(word, ".*"))
    sizes = range(len(value) + 1)
    for size in reversed(sizes) if greedy else sizes:
        part = value[:size] if operator == "#" else value[len(value) - size :]
        if expression.fullmatch(part):
            return value[size:] if operator == "#" else value[: len(value) - size]
    return value


def _regex(pattern: str, star: str) -> str:
    out, at = "", 0
    while at < len(pattern):
        ch = pattern[at]
        at += 1
        if ch == "\\":
            ch = pattern[at : at + 1]
            at += 1
            if ch == "" or ch not in "}/*?\\":
                raise Refused("escape")
            out += re.escape(ch)
        else:
            out += star if ch == "*" else "." if ch == "?" else re.escape(ch)
    return out
