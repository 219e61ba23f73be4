"""The border to lark: Dockerfile text to trees, by grammar.lark and words.lark. Imports lark; nothing else does.

Only files that the cache has not seen come here, so lark is imported once a parser is really needed.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from frontends.dockerfile.gotext import SPACE
from frontends.dockerfile.words import Double, Escaped, Part, Plain, Single, Template, Variable, Word

if TYPE_CHECKING:
    from lark import Lark

_DEEPEST = 64
_BLANKS = "".join(f"\\u{ord(ch):04x}" for ch in SPACE)
_MISSING_BRACE = "syntax error: missing '}'"
_MISSING_SLASH = "syntax error: missing '/' in ${}"
_BAD = "syntax error: bad substitution"
_UNSUPPORTED = "unsupported modifier ({}) in substitution"
_OPEN_QUOTE = "unexpected end of statement while looking for matching {}-quote"


class Grammar:
    """The parsers for one escape character. quotes: False for bodies of heredocs."""

    def __init__(self, escape: str, *, quotes: bool = True) -> None:
        self.escape = escape
        self._special = re.compile(f"[${re.escape(escape)}{chr(39) + chr(34) if quotes else ''}]")
        self._quotes = quotes

    def word(self, text: str) -> Word:
        """The tree of a word; a text that is malformed gives a tree that fails when it is expanded."""
        if not self._special.search(text):
            return text
        if _depth(text) > _DEEPEST:
            return Template(text, (), f"variables are nested more than {_DEEPEST} deep")
        from lark.exceptions import LarkError

        try:
            parts: tuple[Part, ...] = self._words.parse(text)  # type: ignore[assignment]
        except LarkError:
            return Template(text, (), self._fault(text))
        return Template(text, parts)

    def tail(self, text: str) -> tuple[tuple[str, ...], str]:
        """Flags with their quotes removed, and the text after them."""
        if not text.startswith("--"):
            return (), text
        flags: list[str] = []
        rest = ""
        for token in self._tails.parse(text, start="tail").children:
            if token.type == "FLAG":  # type: ignore[union-attr]
                flag = self._without_quotes(str(token))
                if flag == "--":  # `--""` ends the flags too
                    return tuple(flags), text[token.end_pos :].lstrip(SPACE)  # type: ignore[union-attr]
                flags.append(flag)
            elif token.type != "END":  # type: ignore[union-attr]
                rest = str(token)
        return tuple(flags), rest

    def words(self, text: str) -> tuple[str, ...]:
        """The text split at blanks outside quotes; quotes and escapes are kept."""
        tokens = [str(token) for token in self._tails.parse(text, start="words").children]
        return tuple(filter(None, map(self._without_last_escape, tokens)))

    def healthcheck(self, text: str) -> tuple[str, str]:
        """The first word of the text, and the rest."""
        tokens = [str(token) for token in self._tails.parse(text, start="healthcheck").children]
        return (tokens[0] if tokens else ""), (tokens[1] if len(tokens) > 1 else "")

    def _without_quotes(self, flag: str) -> str:
        out, quote, at = "", "", 0
        while at < len(flag):
            ch = flag[at]
            at += 1
            if ch == self.escape:
                out += flag[at : at + 1]
                at += 1
            elif ch == quote:
                quote = ""
            elif ch in "'\"" and not quote:
                quote = ch
            else:
                out += ch
        return out

    def _without_last_escape(self, word: str) -> str:
        """A word without an escape character that escapes nothing, which can only be its last."""
        kept = re.sub(f"{re.escape(self.escape)}.", "", word, flags=re.DOTALL)
        return word[:-1] if kept.endswith(self.escape) and "'" not in kept else word

    def _fault(self, text: str) -> str:
        """Why a word is malformed, in BuildKit's words: of what is open where it stops, the outermost brace counts."""
        from lark.exceptions import UnexpectedInput

        parser = self._words.parse_interactive(text)
        rest = ""
        try:
            parser.exhaust_lexer()
        except UnexpectedInput as error:
            rest = text[error.pos_in_stream or 0 :]
        tokens = [value for value in parser.parser_state.value_stack if hasattr(value, "type")]
        if tokens and tokens[-1].type == "RBRACE":  # closed, but the parser had nothing after it to go on with
            tokens = tokens[: max(at for at, token in enumerate(tokens) if token.type == "OPEN")]
        opened = [token.type for token in tokens]
        if rest and not rest.startswith("'"):
            return _stopped_at(rest)
        if "OPEN" in opened:
            inner = opened[opened.index("OPEN") :]
            if inner == ["OPEN"] and tokens[-1] != "${":
                return _UNSUPPORTED.format("\ufffd")  # the end of the text, as Go prints it as a character
            return _MISSING_SLASH if "REPLACE" in inner[:2] and "SLASH" not in inner[:3] else _MISSING_BRACE
        return _OPEN_QUOTE.format("single" if rest else "double")

    @functools.cached_property
    def _words(self) -> Lark:
        text = _grammar("words.lark").replace("%E%", self._in_class).replace("%Q%", "'\"" if self._quotes else "")
        text = text.replace("%NO_QUOTES%", "" if self._quotes else "(?!)")
        if not self._quotes:
            text = text.replace('"\\"" inside* "\\""', "NO_DOUBLE inside* NO_DOUBLE") + '\nNO_DOUBLE: /(?!)"/\n'
        return _lark(text, start="start", transformer=_transformer(self.escape))

    @functools.cached_property
    def _tails(self) -> Lark:
        text = _grammar("grammar.lark").replace("%E%", self._in_class).replace("%S%", _BLANKS)
        return _lark(text, start=["tail", "words", "healthcheck"])

    @property
    def _in_class(self) -> str:
        return "\\\\" if self.escape == "\\" else self.escape


@functools.lru_cache(maxsize=4)
def grammar(escape: str, *, quotes: bool = True) -> Grammar:
    """The one Grammar for an escape character."""
    return Grammar(escape, quotes=quotes)


def _depth(text: str) -> int:
    """How deep `${` is nested, at most."""
    deepest = depth = 0
    for at in range(len(text)) if text.count("${") > _DEEPEST else ():
        depth = max(depth + text.startswith("${", at) - (text[at] == "}"), 0)
        deepest = max(deepest, depth)
    return deepest


def _stopped_at(rest: str) -> str:
    if rest.startswith("${"):
        return _MISSING_BRACE if rest == "${" else _BAD
    modifier = rest[:2] if rest[0] == ":" else rest[0]
    if rest[0] == ":" and "}" not in rest[2:]:
        return _MISSING_BRACE
    return _UNSUPPORTED.format(modifier)


def _grammar(name: str) -> str:
    return resources.files("frontends.dockerfile").joinpath(name).read_text("utf-8")


def _lark(text: str, **options: Any) -> Lark:
    from lark import Lark

    return Lark(text, parser="lalr", lexer="contextual", **options)


def _transformer(escape: str) -> Any:
    from lark import Transformer, v_args

    @v_args(inline=True)
    class Build(Transformer):  # type: ignore[type-arg]
        """Parse tree to the values of words.py."""

        def start(self, *parts: Part | None) -> tuple[Part, ...]:
            return tuple(part for part in parts if part is not None)

        parts = start

        def plain(self, text: str) -> Part:
            return Plain(str(text))

        def escaped(self, text: str) -> Part:
            return Escaped(str(text)[1:])

        def dropped(self, text: str) -> None:
            return None

        def lone_escape(self, text: str) -> Part:
            return Plain(str(text))

        def single(self, text: str) -> Part:
            return Single(str(text)[1:-1])

        def double(self, *parts: Part) -> Part:
            return Double(tuple(part for part in parts if isinstance(part, Plain | Escaped | Variable)))

        def named(self, text: str) -> Part:
            return Variable(str(text)[1:])

        def braced(self, opened: str) -> Part:
            return Variable(str(opened)[2:], braces=True)

        def choice(self, opened: str, operator: str, operand: tuple[Part, ...]) -> Part:
            return Variable(str(opened)[2:], True, str(operator), operand)

        def cut(self, opened: str, operator: str, operand: tuple[Part, ...]) -> Part:
            return Variable(str(opened)[2:], True, str(operator), _marked(operand, escape))

        def replace(self, opened: str, operator: str, pattern: Any, _: str, replacement: Any) -> Part:
            marked = _marked(pattern, escape), _marked(replacement, escape)
            return Variable(str(opened)[2:], True, str(operator), *marked)

    return Build()


def _marked(parts: tuple[Part, ...], escape: str, quoted: bool = False) -> tuple[Part, ...]:
    """The parts of a pattern: its escape characters stay in the text, doubled where they escape nothing in quotes."""
    marked: list[Part] = []
    for part in parts:
        if isinstance(part, Escaped):
            marked.append(Escaped(part.text, escape))
        elif isinstance(part, Double):
            marked.append(Double(_marked(part.parts, escape, quoted=True)))
        elif quoted and isinstance(part, Plain) and part.text == escape:
            marked.append(Escaped(escape, escape))
        else:
            marked.append(part)
    return tuple(marked)
