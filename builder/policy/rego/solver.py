"""Solver: all solutions of bodies, top down, with backtracking (OPA's topdown)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from builder.policy.rego.context import MISSING, Context
from builder.policy.rego.faults import RegoError
from builder.policy.rego.group import Group, Tree
from builder.policy.rego.nodes import (
    ArrayTerm,
    Call,
    Comprehension,
    Expr,
    ObjectTerm,
    Ref,
    Scalar,
    SetTerm,
    Template,
    Var,
    With,
)
from builder.policy.rego.values import Key, Obj, Set, Value, elements, equal, key, lookup, shown

Env = dict[str, Value]
Path = tuple[str, ...]
Term = Any


class Solver(ABC):
    """tree: the rules. What they come to, and calls, are those of who is derived from it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._where = ""

    @abstractmethod
    def _with(self, withs: tuple[With, ...], env: Env, context: Context) -> Context:
        """What is to be seen behind `with`."""

    @abstractmethod
    def _rule(self, group: Group, context: Context) -> Any:
        """The value of a rule that is no function, MISSING if it has none."""

    @abstractmethod
    def _call(self, call: Call, env: Env, context: Context) -> Iterator[tuple[Value, Env]]:
        """The values of a call."""

    # bodies

    def _body(self, body: tuple[Expr, ...], at: int, env: Env, context: Context) -> Iterator[Env]:
        if at == len(body):
            yield env
            return
        for found in self._expr(body[at], env, context):
            yield from self._body(body, at + 1, found, context)

    def _expr(self, expr: Expr, env: Env, context: Context) -> Iterator[Env]:
        if expr.withs:
            context = self._with(expr.withs, env, context)
        match expr.kind:
            case "term":
                for value, found in self._eval(expr.term, env, context):
                    if value is not False:
                        yield found
            case "unify" | "assign":
                yield from self._unify(expr.left, expr.right, env, context)
            case "some":
                yield env
            case "in":
                for collection, found in self._eval(expr.term, env, context):
                    for name, element in elements(collection):
                        yield from self._member(expr, name, element, found, context)
            case "not":
                if not any(True for _ in self._body(expr.body, 0, env, context)):
                    yield env
            case "every":
                for collection, found in self._eval(expr.term, env, context):
                    if not isinstance(collection, Obj | Set | tuple):
                        continue
                    if all(self._holds(expr, pair, found, context) for pair in elements(collection)):
                        yield env

    def _member(self, expr: Expr, name: Value, element: Value, env: Env, context: Context) -> Iterator[Env]:
        if expr.left is None:
            yield from self._match(expr.right, element, env, context)
            return
        for found in self._match(expr.left, name, env, context):
            yield from self._match(expr.right, element, found, context)

    def _holds(self, expr: Expr, pair: tuple[Value, Value], env: Env, context: Context) -> bool:
        return any(
            True for found in self._member(expr, *pair, env, context) for _ in self._body(expr.body, 0, found, context)
        )

    # unification

    def _unify(self, left: Term, right: Term, env: Env, context: Context) -> Iterator[Env]:
        if _is_open(left, env):
            for value, found in self._eval(right, env, context):
                yield from self._match(left, value, found, context)
        elif _is_open(right, env):
            for value, found in self._eval(left, env, context):
                yield from self._match(right, value, found, context)
        else:
            for one, found in self._eval(left, env, context):
                for other, more in self._eval(right, found, context):
                    if equal(one, other):
                        yield more

    def _match(self, pattern: Term, value: Value, env: Env, context: Context) -> Iterator[Env]:
        if isinstance(pattern, Var) and pattern.name not in ("input", "data"):
            if pattern.name not in env:
                yield {**env, pattern.name: value}
            elif equal(env[pattern.name], value):
                yield env
        elif isinstance(pattern, ArrayTerm):
            if isinstance(value, tuple) and len(value) == len(pattern.items):
                yield from self._match_all(list(zip(pattern.items, value, strict=True)), env, context)
        elif isinstance(pattern, ObjectTerm):
            if isinstance(value, Obj) and len(value) == len(pattern.pairs):
                pairs = []
                for name, part in pattern.pairs:
                    named = [pair for k, _ in self._eval(name, env, context) for pair in lookup(value, k)]
                    if not named:
                        return
                    pairs.append((part, named[0][1]))
                yield from self._match_all(pairs, env, context)
        else:
            for own, found in self._eval(pattern, env, context):
                if equal(own, value):
                    yield found

    def _match_all(self, pairs: list[tuple[Term, Value]], env: Env, context: Context) -> Iterator[Env]:
        if not pairs:
            yield env
            return
        for found in self._match(*pairs[0], env, context):
            yield from self._match_all(pairs[1:], found, context)

    # terms

    def _eval(self, term: Term, env: Env, context: Context) -> Iterator[tuple[Value, Env]]:
        match term:
            case Scalar():
                yield term.value, env
            case Var():
                yield from self._variable(term, env, context)
            case Ref():
                yield from self._reference(term, env, context)
            case Call():
                yield from self._call(term, env, context)
            case ArrayTerm():
                for values, found in self._all(term.items, env, context):
                    yield tuple(values), found
            case SetTerm():
                for values, found in self._all(term.items, env, context):
                    yield Set(values), found
            case ObjectTerm():
                parts = [part for pair in term.pairs for part in pair]
                for values, found in self._all(parts, env, context):
                    yield self._object(zip(values[::2], values[1::2], strict=True), term.line), found
            case Comprehension():
                yield self._comprehension(term, env, context), env
            case Template():
                yield "".join(self._said(part, env, context, quoted=False) for part in term.parts), env

    def _variable(self, var: Var, env: Env, context: Context) -> Iterator[tuple[Value, Env]]:
        if var.name == "input":
            if context.input is not MISSING:
                yield context.input, env
        elif var.name == "data":
            yield from self._data(self._tree, (), (), 0, env, context)
        elif var.name in env:
            yield env[var.name], env
        else:
            raise RegoError(f"{self._where}:{var.line}", "rego_unsafe_var_error", f"var {var.name} is unsafe")

    def _all(self, terms: Iterable[Term], env: Env, context: Context) -> Iterator[tuple[list[Value], Env]]:
        """The values of several terms; those that bind variables come before those that use them."""
        waiting = list(enumerate(terms))
        yield from self._some(waiting, [None] * len(waiting), env, context)

    def _some(
        self, waiting: list[tuple[int, Term]], values: list[Value], env: Env, context: Context
    ) -> Iterator[tuple[list[Value], Env]]:
        if not waiting:
            yield list(values), env
            return
        at = next((n for n, (_, term) in enumerate(waiting) if not _is_open(term, env)), 0)
        number, term = waiting[at]
        for value, found in self._eval(term, env, context):
            values[number] = value
            yield from self._some(waiting[:at] + waiting[at + 1 :], values, found, context)

    def _object(self, pairs: Iterable[tuple[Value, Value]], line: int) -> Obj:
        made: dict[Key, tuple[Value, Value]] = {}
        for name, value in pairs:
            before = made.setdefault(key(name), (name, value))
            if not equal(before[1], value):
                raise RegoError(f"{self._where}:{line}", "eval_conflict_error", "object keys must be unique")
        return Obj(made.values())

    def _comprehension(self, term: Comprehension, env: Env, context: Context) -> Value:
        values = []
        for found in self._body(term.body, 0, env, context):
            parts = (term.value,) if term.key is None else (term.key, term.value)
            values += [made for made, _ in self._all(parts, found, context)]
        if term.kind == "array":
            return tuple(value for (value,) in values)
        if term.kind == "set":
            return Set(value for (value,) in values)
        return self._object(((name, value) for name, value in values), term.line)

    def _said(self, term: Term, env: Env, context: Context, *, quoted: bool) -> str:
        """What is written of a term in a text. quoted: strings within it only."""
        for value, _ in self._eval(term, env, context):
            return value if isinstance(value, str) else shown(value)
        return "<undefined>"

    # references

    def _reference(self, ref: Ref, env: Env, context: Context) -> Iterator[tuple[Value, Env]]:
        if isinstance(ref.head, Var) and ref.head.name == "data":
            yield from self._data(self._tree, (), ref.parts, 0, env, context)
            return
        for value, found in self._eval(ref.head, env, context):
            yield from self._walk(value, ref.parts, 0, found, context)

    def _walk(
        self, value: Value, parts: tuple[Term, ...], at: int, env: Env, context: Context
    ) -> Iterator[tuple[Value, Env]]:
        if at == len(parts):
            yield value, env
            return
        part = parts[at]
        if _is_open(part, env) and isinstance(part, Var | ArrayTerm | ObjectTerm):
            for name, element in elements(value):
                for found in self._match(part, name, env, context):
                    yield from self._walk(element, parts, at + 1, found, context)
            return
        for name, found in self._eval(part, env, context):
            for _, element in lookup(value, name):
                yield from self._walk(element, parts, at + 1, found, context)

    def _data(
        self, node: Any, path: tuple[str, ...], parts: tuple[Term, ...], at: int, env: Env, context: Context
    ) -> Iterator[tuple[Value, Env]]:
        if path in context.data:
            yield from self._walk(context.data[path], parts, at, env, context)
        elif isinstance(node, Group):
            if node.args is None:
                value = self._rule(node, context)
                if value is not MISSING:
                    yield from self._walk(value, parts, at, env, context)
        elif at == len(parts):
            yield self._document(node or {}, path, context), env
        else:
            replaced = below(context.data, path)
            part = parts[at]
            if isinstance(part, Var) and part.name not in env:
                for name in sorted({*(node or {}), *replaced}):
                    inner = {**env, part.name: name}
                    yield from self._data((node or {}).get(name), (*path, name), parts, at + 1, inner, context)
                return
            for name, found in self._eval(part, env, context):
                child = (node or {}).get(name) if isinstance(name, str) else None
                if child is not None or name in replaced:
                    yield from self._data(child, (*path, name), parts, at + 1, found, context)

    def _document(self, node: Tree, path: tuple[str, ...], context: Context) -> Obj:
        """All that is at and below a package."""
        pairs = []
        for name in sorted({*node, *below(context.data, path)}):
            for value, _ in self._data(node.get(name), (*path, name), (), 0, {}, context):
                pairs.append((name, value))
        return Obj(pairs)

    def _node(self, path: tuple[str, ...]) -> Any:
        node: Any = self._tree
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
        return node


def _is_open(term: Term, env: Env) -> bool:
    """Whether a pattern has a variable that has no value yet."""
    if isinstance(term, Var):
        return term.name not in env and term.name not in ("input", "data")
    if isinstance(term, ArrayTerm):
        return any(_is_open(item, env) for item in term.items)
    if isinstance(term, ObjectTerm):
        return any(_is_open(value, env) for _, value in term.pairs)
    return False


def below(data: Mapping[Path, Value], path: Path) -> set[str]:
    """Names right below a path that `with` has put something at or beneath."""
    return {known[len(path)] for known in data if len(known) > len(path) and known[: len(path)] == path}
