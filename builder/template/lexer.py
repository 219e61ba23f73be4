"""Tokens of a template (Go's text/template/parse): text outside `{{ }}`, words inside, with what `{{-` trims gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from lark import Token
from lark.lexer import Lexer

from builder.errors import TemplateFault

_BLANK = " \t\r\n"
_DEEPEST = 40  # blocks, and parentheses, within each other
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_WORD = re.compile(
    r"""(?P<SPACE>[ \t\r\n]+)
    |(?P<STRING>"(?:[^"\\\n]|\\.)*")
    |(?P<RAW>`[^`]*`)
    |(?P<CHAR>'(?:[^'\\\n]|\\.)+')
    |(?P<NUMBER>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?!\w))
    |(?P<FIELD>(?:\.[^\W\d]\w*)+)
    |(?P<VARIABLE>\$\w*(?:\.[^\W\d]\w*)*)
    |(?P<IDENTIFIER>[^\W\d]\w*)
    |(?P<DECLARE>:=)|(?P<ASSIGN>=)|(?P<COMMA>,)|(?P<PIPE>\|)|(?P<LPAR>\()|(?P<RPAR>\))|(?P<DOT>\.)
    """,
    re.VERBOSE,
)
_KEYWORDS = {
    "if": "IF", "with": "WITH", "range": "RANGE", "end": "END", "else": "ELSE", "break": "BREAK",
    "continue": "CONTINUE",
}  # fmt: skip
_CONSTANTS = {"true": True, "false": False, "nil": None}
_ESCAPE = re.compile(r"\\(?:[abfnrtv\\'\"]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3})", re.DOTALL)


class Words(Lexer):
    """lark's own shape of a lexer; data is the text of the template."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, data: Any) -> Iterator[Token]:  # type: ignore[override]  # lark calls a custom lexer with the text
        return tokens(str(data))


def fault(text: str, pos: int, what: str) -> TemplateFault:
    """An error of the line that pos is on, in Go's form."""
    return TemplateFault(f"template parsing error: template: :{text.count(chr(10), 0, pos) + 1}: {what}")


def tokens(text: str) -> Iterator[Token]:
    """Of the whole template. Raises TemplateFault for what is no word."""
    at, trim = 0, False
    blocks: list[int] = []  # how deep each open block has made it: `else if` goes one deeper, and `end` ends all of it
    while at < len(text):
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        opened = 2
        if start >= 0 and text.startswith("-", start + 2) and text[start + 3 : start + 4] in tuple(_BLANK):
            plain, opened = plain.rstrip(_BLANK), 3
        if trim:
            plain = plain.lstrip(_BLANK)
        if plain:
            yield _token("TEXT", plain, at)
        if start < 0:
            return
        comment = _COMMENT.match(text, _skip(text, start + opened) if opened == 3 else start + opened)
        if comment is not None:
            at, trim = _after_comment(text, comment.end())
            continue
        if text.startswith("/*", start + opened):
            raise fault(text, start, "unclosed comment")
        words, close = _merged(_action(text, start, start + opened))
        _nest(blocks, words[0].type)
        if sum(blocks) > _DEEPEST:
            raise fault(text, start, "max expression depth exceeded")
        yield from words
        at, trim = (close.start_pos or 0) + len(close.value), close.value.startswith("-")


def _nest(blocks: list[int], kind: str) -> None:
    if kind in ("IF", "WITH", "RANGE"):
        blocks.append(1)
    elif kind in ("ELSE_IF", "ELSE_WITH") and blocks:
        blocks[-1] += 1
    elif kind == "END" and blocks:
        blocks.pop()


def _merged(words: list[Token]) -> tuple[list[Token], Token]:
    """The words of one action, keywords in place of `{{`; and the last of them."""
    keyword = _KEYWORDS.get(words[1].value, "") if words[1].type == "IDENTIFIER" else ""
    rest = words[2:] if keyword else words[1:]
    if keyword == "ELSE" and rest[0].type == "IDENTIFIER" and rest[0].value in ("if", "with"):
        keyword, rest = f"ELSE_{_KEYWORDS[rest[0].value]}", rest[1:]
    first = _token(keyword, words[0].value, words[0].start_pos or 0) if keyword else words[0]
    return [first, *rest], words[-1]


def _action(text: str, start: int, at: int) -> list[Token]:
    """From `{{` to `}}`."""
    found: list[Token] = [_token("OPEN", "{{", start)]
    after_space, depth = True, 0
    while True:
        if text.startswith("}}", at):
            close = "}}"
        elif after_space and text.startswith("-}}", at):
            close = "-}}"
        else:
            close = ""
        if close:
            if depth:
                raise fault(text, at, "unclosed left paren")
            return [*found, _token("CLOSE", close, at)]
        if at >= len(text):
            raise fault(text, at, "unclosed action")
        match = _WORD.match(text, at)
        if match is None:
            raise fault(text, at, _no_word(text, at))
        after_space = match.lastgroup == "SPACE"
        depth += {"LPAR": 1, "RPAR": -1}.get(match.lastgroup or "", 0)
        if depth < 0:
            raise fault(text, at, "unexpected right paren")
        if depth > _DEEPEST:
            raise fault(text, at, "max expression depth exceeded")
        if not after_space:
            chained = match.lastgroup == "FIELD" and found[-1].type == "RPAR" and text[at - 1] == ")"
            found.append(_word(text, match, chained))
        at = match.end()


def _word(text: str, match: re.Match[str], chained: bool) -> Token:
    kind, value = match.lastgroup or "", match[0]
    if kind in ("STRING", "RAW", "CHAR", "NUMBER") or (kind == "IDENTIFIER" and value in _CONSTANTS):
        token = _token("CONSTANT", value, match.start())
        token.constant = _constant(text, match)
        return token
    return _token("CHAIN" if chained else kind, value, match.start())


def _constant(text: str, match: re.Match[str]) -> Any:
    kind, value = match.lastgroup, match[0]
    if kind == "IDENTIFIER":
        return _CONSTANTS[value]
    if kind == "RAW":
        return value[1:-1].replace("\r", "")
    if kind == "NUMBER":
        return _number(text, match.start(), value)
    if re.sub(_ESCAPE, "", value).count("\\"):
        raise fault(text, match.start(), f"invalid syntax: {value}")
    plain = re.sub(_ESCAPE, lambda m: ast.literal_eval(f'"{m[0]}"'), value[1:-1])
    if kind == "STRING":
        return plain
    if len(plain) != 1:
        raise fault(text, match.start(), f"malformed character constant: {value}")
    return ord(plain)


def _number(text: str, at: int, value: str) -> int | float:
    try:
        if re.fullmatch(r"[+-]?0[0-7_]+", value):
            return int(value.replace("_", ""), 8)
        number: int | float = int(value, 0) if re.fullmatch(r"[+-]?(\d[\d_]*|0[xXbBoO]\w+)", value) else float(value)
    except ValueError:
        raise fault(text, at, f"bad number syntax: {value!r}") from None
    if isinstance(number, int) and not -(1 << 63) <= number < 1 << 63:
        raise fault(text, at, f"integer overflow: {value!r}")
    return number


def _no_word(text: str, at: int) -> str:
    character = text[at]
    if character == '"':
        return "unterminated quoted string"
    if character == "`":
        return "unterminated raw quoted string"
    if character == "'":
        return "unterminated character constant"
    if character.isdigit() or character in "+-":
        return f'bad number syntax: "{text[at : at + 10].split("}")[0].strip()}"'
    return f'unexpected "{character}" in command'


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _after_comment(text: str, at: int) -> tuple[int, bool]:
    """Where the text goes on, and whether its blanks are trimmed."""
    if text.startswith("}}", at):
        return at + 2, False
    after = _skip(text, at)
    if after > at and text.startswith("-}}", after):
        return after + 3, True
    raise fault(text, at, "comment ends before closing delimiter")


class _Valued(Token):
    """A token with the value of the constant that it is."""

    constant: Any


def _token(kind: str, value: str, pos: int) -> _Valued:
    return _Valued(kind, value, pos)
