"""The tree of a module in Rego, as the parser makes it and resolve.py rewrites it."""

from __future__ import annotations

from typing import Any

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """line: of the file, from 1."""

    line: int


class Scalar(Node, frozen=True, tag=True):
    value: Any


class Var(Node, frozen=True, tag=True):
    name: str


class Ref(Node, frozen=True, tag=True):
    """head: a Var (input, data, or a variable) or any other term; parts: terms, `.x` being the string."""

    head: Any
    parts: tuple[Any, ...]


class ArrayTerm(Node, frozen=True, tag=True):
    items: tuple[Any, ...]


class SetTerm(Node, frozen=True, tag=True):
    items: tuple[Any, ...]


class ObjectTerm(Node, frozen=True, tag=True):
    pairs: tuple[tuple[Any, Any], ...]


class Template(Node, frozen=True, tag=True):
    """parts: texts and terms."""

    parts: tuple[Any, ...]


class Call(Node, frozen=True, tag=True):
    """name: dotted, as written; path: of a rule, with its package, once that is resolved."""

    name: str
    args: tuple[Any, ...]
    path: tuple[str, ...] = ()


class Comprehension(Node, frozen=True, tag=True):
    """kind: array, set or object. key: of an object."""

    kind: str
    value: Any
    body: tuple[Any, ...]
    key: Any = None


class With(Node, frozen=True, tag=True):
    """function: the name of a built-in one, which stands in for one."""

    target: Any
    value: Any
    function: str = ""


class Expr(Node, frozen=True, tag=True):
    """One of a body. kind: term, not (of a term), unify and assign (left, right), some (names), in (of some: left is a
    key or None, right a value, term the collection), every (the same, with a body)."""

    kind: str
    term: Any = None
    left: Any = None
    right: Any = None
    names: tuple[str, ...] = ()
    body: tuple[Any, ...] = ()
    withs: tuple[With, ...] = ()


class Clause(Node, frozen=True, tag=True):
    """A body and the value that it gives; other: the `else` behind it."""

    value: Any
    body: tuple[Expr, ...]
    other: Any = None


class Rule(Node, frozen=True, tag=True):
    """name: the first part of its head. path: the others, terms. args: None for what is no function.

    contains: it adds members to a set. default: it is one.
    """

    name: str
    path: tuple[Any, ...]
    args: tuple[Any, ...] | None
    clause: Clause
    contains: bool = False
    default: bool = False
