"""Evaluator: what rules and calls come to, and what `with` puts in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from builder.policy.rego.context import MISSING, Context
from builder.policy.rego.faults import Needed, RegoError, Undefined
from builder.policy.rego.group import Group, Tree
from builder.policy.rego.nodes import (
    Call,
    Clause,
    Ref,
    Scalar,
    Var,
    With,
)
from builder.policy.rego.part import Part
from builder.policy.rego.solver import Env, Path, Solver, Term
from builder.policy.rego.values import Obj, Set, Value, equal, key, lookup

Builtins = Mapping[str, Callable[..., Value]]
Ask = Callable[[str, tuple[Value, ...]], Iterable[Value]]
"""The answer to a call of a function that is not the language's: one value or none."""


class Evaluator(Solver):
    """tree: the rules. builtins: by name. asked: functions that ask answers. say: told what print() prints."""

    def __init__(
        self, tree: Tree, builtins: Builtins, asked: frozenset[str], ask: Ask, say: Callable[[str], None]
    ) -> None:
        super().__init__(tree)
        self._builtins, self._asked, self._ask, self._say = builtins, asked, ask, say

    def value(self, term: Term, given: Value | None) -> Iterator[Value]:
        """The first value of a term, if it has one. given: the input, None for none. Raises RegoError, Needed."""
        context = Context(MISSING if given is None else given)
        for value, _ in self._eval(term, {}, context):
            yield value
            return

    def _with(self, withs: tuple[With, ...], env: Env, context: Context) -> Context:
        given, data, functions = context.input, dict(context.data), dict(context.functions)
        for one in withs:
            target = one.target
            name = target.head.name if isinstance(target, Ref) else target.name
            path = tuple(part.value for part in target.parts) if isinstance(target, Ref) else ()
            if name == "input":
                given = _placed(given, path, self._given(one, env, context))
            elif name != "data":
                functions[name] = self._stand_in(one, env, context)
            elif isinstance(node := self._node(path), Group) and node.args is not None:
                functions[".".join(path)] = self._stand_in(one, env, context)
            else:
                data = _replaced(data, path, self._given(one, env, context))
        return Context(given, data, functions)

    def _stand_in(self, one: With, env: Env, context: Context) -> Any:
        """For a function: the name of a built-in one, the rules of another, or a value, in a tuple."""
        if one.function:
            return one.function
        if isinstance(one.value, Ref) and isinstance(one.value.head, Var) and one.value.head.name == "data":
            node = self._node(tuple(part.value for part in one.value.parts if isinstance(part, Scalar)))
            if isinstance(node, Group) and node.args is not None:
                return node
        return (self._given(one, env, context),)

    def _given(self, one: With, env: Env, context: Context) -> Value:
        for value, _ in self._eval(one.value, env, context):
            return value
        raise RegoError(f"{self._where}:{one.line}", "eval_with_error", "the value of `with` is undefined")

    # rules

    def _rule(self, group: Group, context: Context) -> Any:
        """The value of a rule that is no function, MISSING if it has none."""
        if group.path not in context.known:
            context.known[group.path] = self._computed(group, context)
        return context.known[group.path]

    def _computed(self, group: Group, context: Context) -> Any:
        rules = [(where, rule) for where, rule in group.rules if not rule.default]
        if any(rule.path or rule.contains for _, rule in rules):
            return self._partial(group, context)
        found: Any = MISSING
        for where, rule in rules:
            for value in self._values(rule.clause, {}, context, where):
                found = self._same(
                    found, value, f"{where}:{rule.line}", "complete rules must not produce multiple outputs"
                )
        return found if found is not MISSING else self._default(group, context)

    def _default(self, group: Group, context: Context, env: Env | None = None) -> Any:
        for where, rule in group.rules:
            if rule.default:
                return next(self._values(rule.clause, env or {}, context, where), MISSING)
        return MISSING

    def _partial(self, group: Group, context: Context) -> Any:
        """Sets and objects to which each solution adds."""
        root = Part()
        for where, rule in group.rules:
            if rule.default:
                continue
            before, self._where = self._where, where
            for env in self._body(rule.clause.body, 0, {}, context):
                for (*path, value), _ in self._all((*rule.path, rule.clause.value), env, context):
                    if not root.put(path, value, rule.contains):
                        raise RegoError(f"{where}:{rule.line}", "eval_conflict_error", "object keys must be unique")
            self._where = before
        if root.is_empty:
            default = self._default(group, context)
            if default is not MISSING:
                return default
            return Set() if any(rule.contains and not rule.path for _, rule in group.rules) else Obj()
        return root.value()

    def _values(self, clause: Clause, env: Env, context: Context, where: str) -> Iterator[Value]:
        while True:
            matched = False
            before, self._where = self._where, where
            try:
                for found in self._body(clause.body, 0, env, context):
                    matched = True
                    for value, _ in self._eval(clause.value, found, context):
                        yield value
            finally:
                self._where = before
            if matched or clause.other is None:
                return
            clause = clause.other

    def _same(self, found: Any, value: Value, place: str, message: str) -> Value:
        if found is not MISSING and not equal(found, value):
            raise RegoError(place, "eval_conflict_error", message)
        return value

    # calls

    def _call(self, call: Call, env: Env, context: Context) -> Iterator[tuple[Value, Env]]:
        if call.name == "print" and not call.path:
            self._say(" ".join(self._said(arg, env, context, quoted=False) for arg in call.args))
            yield True, env
            return
        mark = ".".join(call.path) if call.path else call.name
        for args, found in self._all(call.args, env, context):
            for value in self._called(call, mark, tuple(args), context):
                yield value, found

    def _called(self, call: Call, mark: str, args: tuple[Value, ...], context: Context) -> Iterator[Value]:
        if mark in context.functions:
            stand_in = context.functions[mark]
            if isinstance(stand_in, Group):
                yield from self._function(stand_in, args, Context(context.input, context.data))
            elif isinstance(stand_in, str):
                yield from self._native(stand_in, args)
            else:
                yield from stand_in
        elif call.path:
            yield from self._function(self._node(call.path), args, context)
        else:
            yield from self._native(call.name, args)

    def _native(self, name: str, args: tuple[Value, ...]) -> Iterator[Value]:
        if name in self._asked:
            yield from self._ask(name, args)
        else:
            try:
                yield self._builtins[name](*args)
            except Undefined:
                return
            except (ValueError, LookupError):
                return  # what OPA calls a built-in error: the call is undefined
            except (TypeError, ArithmeticError, AttributeError, StopIteration) as error:
                problem = f"{name}: {type(error).__name__}: {error}"
                raise RegoError(self._where, "eval_builtin_error", problem) from None

    def _function(self, group: Group, args: tuple[Value, ...], context: Context) -> Iterator[Value]:
        try:
            mark = (group.path, key(args))
        except Needed:  # of what is not all known, nothing is remembered
            value = self._result(group, args, context)
        else:
            if mark not in context.known:
                context.known[mark] = self._result(group, args, context)
            value = context.known[mark]
        if value is not MISSING:
            yield value

    def _result(self, group: Group, args: tuple[Value, ...], context: Context) -> Any:
        found: Any = MISSING
        for where, rule in group.rules:
            if rule.default:
                continue
            for env in self._match_all(list(zip(rule.args or (), args, strict=True)), {}, context):
                for value in self._values(rule.clause, env, context, where):
                    found = self._same(
                        found,
                        value,
                        f"{where}:{rule.line}",
                        "functions must not produce multiple outputs for same inputs",
                    )
        return found if found is not MISSING else self._default(group, context)


def _replaced(data: Mapping[Path, Value], path: Path, value: Value) -> dict[Path, Value]:
    """What `with` has put in place of parts of data, with one more: of what is there already, or over it."""
    for known in data:
        if len(known) <= len(path) and path[: len(known)] == known:
            return {**data, known: _placed(data[known], path[len(known) :], value)}
    return {**{known: v for known, v in data.items() if known[: len(path)] != path}, path: value}


def _placed(given: Any, path: tuple[str, ...], value: Value) -> Value:
    """The input with another value at a path."""
    if not path:
        return value
    known = given if isinstance(given, Obj) else Obj()
    inner = next((v for _, v in lookup(known, path[0])), MISSING)
    others = [(k, v) for k, v in known.items() if k != path[0]]
    return Obj([*others, (path[0], _placed(inner, path[1:], value))])
