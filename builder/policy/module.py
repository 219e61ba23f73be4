"""Module: one file of a policy, and what its text says of itself: package, imports, rules, calls."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from builder.errors import PolicyFault
from builder.policy.tokens import Token, tokens

LIMIT = 4 << 20  # bytes of a file of a policy
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")
_GOES_ON = ("else", "if", "with", "as", "in")  # at the begin of a line: it belongs to the one above
_OPEN = ("if", "not", "some", "every", "in", "with", "as", "import", "package", "else", "default")  # at the end of one
KEYWORDS = frozenset(
    ("package", "import", "as", "default", "if", "else", "not", "some", "every", "in", "contains", "with", "null",
     "true", "false")
)  # fmt: skip


class Import(msgspec.Struct, frozen=True):
    """path: of its parts, `data`, `lib`, `x`. alias: what it is called here."""

    path: tuple[str, ...]
    alias: str
    line: int


class Call(msgspec.Struct, frozen=True):
    """name: dotted. at: index of the first token of its arguments."""

    name: str
    line: int
    at: int


class Module(msgspec.Struct, frozen=True):
    """name: as people know the file. package: of its parts, without `data`. Rules are spans of tokens."""

    name: str
    text: str
    tokens: tuple[Token, ...]
    package: tuple[str, ...]
    imports: tuple[Import, ...]
    rules: tuple[tuple[Token, ...], ...]

    @classmethod
    def read(cls, name: str, raw: bytes) -> Module:
        """Raises PolicyFault, with the line."""
        if len(raw) > LIMIT:
            raise PolicyFault(f"{name}: a policy has at most {LIMIT} bytes")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise PolicyFault(f"{name}:{raw[: error.start].count(10) + 1}: rego_parse_error: no UTF-8") from None
        if "\0" in text:
            raise PolicyFault(f"{name}:{text[: text.index(chr(0))].count(chr(10)) + 1}: rego_parse_error: a NUL")
        found = tokens(text, name)
        statements = _statements(found)
        if not statements or statements[0][0].text != "package":
            raise PolicyFault(f"{name}:1: rego_parse_error: package expected", "begin with: package docker")
        package = _path(statements[0][1:], name)
        imports = tuple(_import(words, name) for words in statements[1:] if _is_word(words, 0, "import"))
        rules = tuple(words for words in statements[1:] if not _is_word(words, 0, "import"))
        return cls(name, text, found, package, imports, rules)

    def moved(self, package: tuple[str, ...]) -> Module:
        """The same in another package. Each line keeps its number."""
        words = [token for token in self.tokens[1:] if token.line == self.tokens[0].line]
        begin, end = words[0].offset, words[-1].offset + len(words[-1].text)
        text = f"{self.text[:begin]}{'.'.join(package)}{self.text[end:]}"
        return msgspec.structs.replace(self, text=text, package=package)

    @property
    def names(self) -> frozenset[str]:
        """What its rules are called: the first part of each."""
        return frozenset(name for rule in self.rules if (name := rule_name(rule)))

    def calls(self) -> tuple[Call, ...]:
        """Names with a bracket at once behind them, but those that a rule is declared by."""
        declared = {id(rule[1 if _is_word(rule, 0, "default") else 0]) for rule in self.rules if len(rule) > 1}
        found = []
        for number, token in enumerate(self.tokens):
            if token.text != "(" or token.kind != "mark" or not token.joined or not number:
                continue
            first = number - 1
            while first >= 2 and self.tokens[first - 1].text == "." and self.tokens[first - 2].kind == "name":
                first -= 2
            head = self.tokens[first]
            if head.kind == "name" and head.text not in KEYWORDS and id(head) not in declared:
                parts = [t.text for t in self.tokens[first:number:2]]
                found.append(Call(".".join(parts), head.line, number + 1))
        return tuple(found)


def rule_name(rule: tuple[Token, ...]) -> str:
    """`allow` of `default allow := false` and of `allow if …`."""
    head = rule[1] if _is_word(rule, 0, "default") and len(rule) > 1 else rule[0]
    return head.text if head.kind == "name" else ""


def _statements(found: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """Each begins a line, outside of all brackets; `else` goes on with the one above, and so does an open line."""
    parts: list[list[Token]] = []
    depth = 0
    for number, token in enumerate(found):
        before = found[number - 1] if number else None
        begins = before is None or (token.line > before.line and token.kind == "name" and _ends(found, number))
        if not depth and begins:
            parts.append([])
        parts[-1].append(token)
        if token.kind == "mark":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        depth += token.begins - token.ends
    return [tuple(part) for part in parts]


def _ends(found: Sequence[Token], number: int) -> bool:
    """Whether the statement of the token before ends with that one."""
    before = found[number - 1]
    if _is_word(found, number, *_GOES_ON):
        return False
    if before.kind == "mark":
        return before.text in _CLOSING
    return not _is_word(found, number - 1, *_OPEN)


def _is_word(found: Sequence[Token], number: int, *words: str) -> bool:
    """Whether a token is one of these keywords, and not part of a reference like `if.x` or `x.if`."""
    token = found[number]
    if token.kind != "name" or token.text not in words:
        return False
    after = found[number + 1] if number + 1 < len(found) else None
    before = found[number - 1] if number and token.joined else None
    return not any(
        other is not None and other.kind == "mark" and other.text == "." and other.joined for other in (before, after)
    )


def _import(words: tuple[Token, ...], where: str) -> Import:
    line, rest, alias = words[0].line, words[1:], ""
    if len(rest) > 2 and rest[-2].text == "as":
        rest, alias = rest[:-2], rest[-1].text
    path = _path(rest, where)
    return Import(path, alias or path[-1], line)


def _path(words: tuple[Token, ...], where: str) -> tuple[str, ...]:
    """`a.b["c"]`"""
    parts = tuple(w.text for w in words if w.kind in ("name", "string"))
    marks = all(w.text in (".", "[", "]") for w in words if w.kind == "mark")
    if not parts or not marks or any(w.kind == "number" for w in words):
        line = words[0].line if words else 1
        raise PolicyFault(f"{where}:{line}: rego_parse_error: the name of a package was expected")
    return parts
