"""Reader: the tokens of a statement, one after the other."""

from __future__ import annotations

import json

from builder.policy.rego.faults import RegoError
from builder.policy.tokens import Token

LITERALS = {"null": None, "true": True, "false": False}
_WORDS = frozenset(
    ("package", "import", "as", "default", "else", "if", "not", "some", "every", "in", "contains", "with")
)


class Reader:
    """where: the file, for faults, which are RegoError with file and line."""

    def __init__(self, tokens: tuple[Token, ...], where: str) -> None:
        self._tokens, self._where = tokens, where
        self._at = 0

    def _peek(self, ahead: int = 0) -> Token | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _is(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        if token is None or token.text != text or token.kind not in ("mark", "name"):
            return False
        return token.kind == "mark" or not self._is_head(ahead)

    def _is_head(self, ahead: int = 0) -> bool:
        """Whether a reference begins here: `if.x` is one, though `if` is a keyword."""
        after = self._peek(ahead + 1)
        return after is not None and after.kind == "mark" and after.text == "." and after.joined

    def _take(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _want(self, text: str) -> Token:
        if not self._is(text):
            raise self._bad(f"{text!r} was expected")
        self._at += 1
        return self._tokens[self._at - 1]

    def _bad(self, problem: str) -> RegoError:
        token = self._peek()
        line = token.line if token is not None else self._tokens[-1].line
        found = "the statement ends" if token is None else f"there is {token.text!r:.40}"
        return RegoError(f"{self._where}:{line}", "rego_parse_error", f"{problem}, {found}")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._bad("the end was expected")

    @property
    def _line(self) -> int:
        token = self._peek() or self._tokens[-1]
        return token.line

    def _name(self, words: bool = False) -> str:
        """words: keywords are names, as they are behind a dot and before one."""
        token = self._peek()
        plain = words or self._is_head()
        if token is None or token.kind != "name" or (not plain and (token.text in _WORDS or token.text in LITERALS)):
            raise self._bad("a name was expected")
        self._at += 1
        if token.text == "_" and not words:
            return f"_{token.offset}"
        return token.text

    def _text(self, token: Token) -> str:
        text = token.text.replace("\\{", "{") if token.kind == "template" else token.text
        if token.raw:
            return text
        try:
            found: str = json.loads(f'"{text}"', strict=False)
        except ValueError:
            raise RegoError(f"{self._where}:{token.line}", "rego_parse_error", "invalid escape in a string") from None
        return found
