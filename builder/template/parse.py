"""Reading a template. This module imports lark, so it is imported where a template is given that is no usual one."""

from __future__ import annotations

import functools
import re
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedToken, VisitError

from builder.errors import TemplateFault
from builder.template.functions import FUNCTIONS
from builder.template.lexer import Words, fault
from builder.template.nodes import (
    Branch,
    Constant,
    Dot,
    Field,
    Function,
    Leave,
    Nested,
    Node,
    Operand,
    Output,
    Pipe,
    Text,
    Variable,
)
from cache.errors import Fault

_LARGEST = 1 << 16  # characters of a template
_OPENED = re.compile(r"\{\{(?:-\s)?\s*(?:else\s+)?(if|with|range)\s*\Z")
_NAMES = {"END": "{{end}}", "ELSE": "{{else}}", "ELSE_IF": "{{else if}}", "ELSE_WITH": "{{else with}}"}


def parse(text: str) -> tuple[Node, ...]:
    """Raises TemplateFault in Go's words."""
    if len(text) > _LARGEST:
        raise TemplateFault(f"template parsing error: template: it is longer than {_LARGEST} characters")
    try:
        tree = _grammar().parse(text)
        return tuple(_Builder(text).transform(tree))
    except UnexpectedToken as error:
        raise _unexpected(text, error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, Fault):
            raise error.orig_exc from None
        raise


@functools.cache
def _grammar() -> Lark:
    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", lexer=Words, maybe_placeholders=False)


def _unexpected(text: str, error: UnexpectedToken) -> TemplateFault:
    token: Token = error.token
    if token.type == "$END":
        return fault(text, len(text), "unexpected EOF")
    pos = token.start_pos or 0
    if token.type == "CLOSE":
        opened = _OPENED.search(text, 0, pos)
        return fault(text, pos, f"missing value for {opened[1] if opened else 'command'}")
    if token.type in _NAMES:
        return fault(text, pos, f"unexpected {_NAMES[token.type]}")
    if token.type == "PIPE":
        return fault(text, pos, "missing value for command")
    shown = token.value if len(token.value) <= 10 else token.value[:10] + "..."
    return fault(text, pos, f'unexpected "{shown}" in operand')


class _Builder(Transformer[Token, Any]):
    """Trees to nodes; refuses functions that there are none of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, children: list[Any]) -> tuple[Node, ...]:
        _Check(self._text).nodes(children[0], ("",))
        return tuple(children[0])

    def nodes(self, children: list[Any]) -> tuple[Node, ...]:
        return tuple(children)

    def text(self, children: list[Any]) -> Text:
        return Text(str(children[0]))

    def output(self, children: list[Any]) -> Output:
        return Output(children[1])

    def if_(self, children: list[Any]) -> Branch:
        return Branch("if", children[1], children[3], children[4])

    def with_(self, children: list[Any]) -> Branch:
        return Branch("with", children[1], children[3], children[4])

    def range_(self, children: list[Any]) -> Branch:
        return Branch("range", children[1], children[3], children[4])

    def break_(self, children: list[Any]) -> Leave:
        return Leave(False)

    def continue_(self, children: list[Any]) -> Leave:
        return Leave(True)

    def no_else(self, children: list[Any]) -> tuple[Node, ...]:
        return ()

    def else_list(self, children: list[Any]) -> tuple[Node, ...]:
        return tuple(children[2])

    def else_if(self, children: list[Any]) -> tuple[Node, ...]:
        return (self.if_(children),)

    def else_with(self, children: list[Any]) -> tuple[Node, ...]:
        return (self.with_(children),)

    def pipe(self, children: list[Any]) -> Pipe:
        return children[0]  # type: ignore[no-any-return]

    def declare(self, children: list[Any]) -> Pipe:
        return Pipe(children[-1].commands, (self._plain(children[0]),), True)

    def assign(self, children: list[Any]) -> Pipe:
        return Pipe(children[-1].commands, (self._plain(children[0]),), False)

    def declare_two(self, children: list[Any]) -> Pipe:
        return Pipe(children[-1].commands, (self._plain(children[0]), self._plain(children[2])), True)

    def _plain(self, token: Token) -> str:
        if "." in token.value:
            raise fault(self._text, token.start_pos or 0, f'unexpected "{token}" in variable declaration')
        return str(token.value)[1:]

    def commands(self, children: list[Any]) -> Pipe:
        found = tuple(child for child in children if not isinstance(child, Token))
        for command in found[1:]:
            if isinstance(command[0], Constant | Dot):
                first = command[0]
                raise fault(self._text, first.pos, f"non executable command in pipeline stage 2: {first.source}")
        return Pipe(found)

    def command(self, children: list[Any]) -> tuple[Operand, ...]:
        return tuple(children)

    def field(self, children: list[Any]) -> Field:
        token = children[0]
        return Field(_path(token.value), _last(token), token.value)

    def variable(self, children: list[Any]) -> Variable:
        token = children[0]
        name, *names = token.value[1:].split(".")
        return Variable(name, tuple(names), token.start_pos, token.value)

    def dot(self, children: list[Any]) -> Dot:
        return Dot(children[0].start_pos)

    def constant(self, children: list[Any]) -> Constant:
        return Constant(children[0].constant, children[0].start_pos, children[0].value)

    def function(self, children: list[Any]) -> Function:
        token = children[0]
        if token.value not in FUNCTIONS:
            raise fault(self._text, token.start_pos, f'function "{token}" not defined')
        return Function(str(token.value), token.start_pos, str(token.value))

    def nested(self, children: list[Any]) -> Nested:
        start, end = children[0].start_pos, children[2].start_pos + 1
        return Nested(children[1], (), start, self._text[start:end])

    def chained(self, children: list[Any]) -> Nested:
        start, end = children[0].start_pos, children[2].start_pos + 1
        chain = children[3]
        return Nested(children[1], _path(chain.value), _last(chain), self._text[start:end] + chain.value)


def _path(text: str) -> tuple[str, ...]:
    return tuple(text[1:].split("."))


def _last(token: Token) -> int:
    """Where Go says that a path is: at its second name, if it has one."""
    second: int = token.value.find(".", 1)
    return (token.start_pos or 0) + max(second, 0)


class _Check:
    """Variables are set before they are used, and loops are left from within."""

    def __init__(self, text: str) -> None:
        self._text = text

    def nodes(self, nodes: tuple[Node, ...], names: tuple[str, ...], in_range: bool = False) -> None:
        for node in nodes:
            if isinstance(node, Output):
                names = self.pipe(node.pipe, names)
            elif isinstance(node, Branch):
                inner = self.pipe(node.pipe, names)
                self.nodes(node.body, inner, in_range or node.kind == "range")
                self.nodes(node.other, inner, in_range)
            elif isinstance(node, Leave) and not in_range:
                word = "continue" if node.again else "break"
                raise TemplateFault(f"template parsing error: template: :1: {{{{{word}}}}} outside {{{{range}}}}")

    def pipe(self, pipe: Pipe, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names that are known after it."""
        for operand in (operand for command in pipe.commands for operand in command):
            if isinstance(operand, Nested):
                self.pipe(operand.pipe, names)
            elif isinstance(operand, Variable) and operand.name not in names:
                raise fault(self._text, operand.pos, f'undefined variable "${operand.name}"')
        if pipe.declares:
            return (*names, *pipe.names)
        for name in pipe.names:
            if name not in names:
                raise fault(self._text, 0, f'undefined variable "${name}"')
        return names
