"""A parsed template as a tree. pos is an offset in the template's text, source the part of it that errors repeat."""

from __future__ import annotations

from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True):
    """What stands outside `{{ }}`, trimmed."""

    text: str


class Field(msgspec.Struct, frozen=True):
    """`.A.B`, of the dot."""

    names: tuple[str, ...]
    pos: int
    source: str


class Variable(msgspec.Struct, frozen=True):
    """`$x.A.B`; name without the dollar."""

    name: str
    names: tuple[str, ...]
    pos: int
    source: str


class Function(msgspec.Struct, frozen=True):
    name: str
    pos: int
    source: str


class Constant(msgspec.Struct, frozen=True):
    """A string, number, boolean or nil (None)."""

    value: Any
    pos: int
    source: str


class Dot(msgspec.Struct, frozen=True):
    pos: int
    source: str = "."


class Nested(msgspec.Struct, frozen=True):
    """`(pipe).A.B`"""

    pipe: Pipe
    names: tuple[str, ...]
    pos: int
    source: str


Operand = Field | Variable | Function | Constant | Dot | Nested


class Pipe(msgspec.Struct, frozen=True):
    """commands: each gets the value of the one before. names: variables that get the last value; declares: are new."""

    commands: tuple[tuple[Operand, ...], ...]
    names: tuple[str, ...] = ()
    declares: bool = False


class Output(msgspec.Struct, frozen=True):
    """`{{pipe}}`; nothing is printed if it sets a variable."""

    pipe: Pipe


class Branch(msgspec.Struct, frozen=True):
    """kind: "if", "with" or "range"."""

    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    other: tuple[Node, ...]


class Leave(msgspec.Struct, frozen=True):
    """`{{break}}`, or with again `{{continue}}`."""

    again: bool


Node = Text | Output | Branch | Leave
