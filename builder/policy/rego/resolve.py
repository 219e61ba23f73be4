"""Names of a module become what they stand for, and bodies are put in an order in which each variable has a value.

OPA's compiler does the same (ast/compile.go): imports and rules of the package are references into `data`, calls name
a rule or a built-in function, an expression waits for the variables that others bind.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from builder.policy.rego.faults import RegoError
from builder.policy.rego.nodes import (
    ArrayTerm,
    Call,
    Clause,
    Comprehension,
    Expr,
    ObjectTerm,
    Ref,
    Rule,
    Scalar,
    SetTerm,
    Template,
    Var,
    With,
)

_ROOTS = ("input", "data")
Names = frozenset[str]
Term = Any


class Resolver:
    """Of one module. aliases: of its imports, to paths. rules: of its package. builtins: what else can be called.

    arity: how many arguments the function at a path has, None if there is none. Raises RegoError, with file and line.
    """

    def __init__(
        self,
        where: str,
        package: tuple[str, ...],
        aliases: Mapping[str, tuple[str, ...]],
        rules: Container[str],
        arity: Callable[[tuple[str, ...]], int | None],
        builtins: Container[str],
    ) -> None:
        self._where, self._package, self._aliases, self._rules = where, package, aliases, rules
        self._arity, self._builtins = arity, builtins

    def rule(self, rule: Rule) -> Rule:
        scope = frozenset(_variables(rule.args or ()))
        args = None if rule.args is None else tuple(self._term(arg, scope) for arg in rule.args)
        inner, clause = self._clause(rule.clause, scope, scope)
        path = tuple(self._term(part, inner) for part in rule.path)
        bound = scope | _given(clause.body)
        for part in path:
            self._known(part, bound)
        return replace(rule, args=args, clause=clause, path=tuple(self._put(part, bound) for part in path))

    def _clause(self, clause: Clause, scope: Names, bound: Names) -> tuple[Names, Clause]:
        inner = scope | _declared(clause.body)
        body = self._order([self._expr(one, inner) for one in clause.body], bound)
        value = self._term(clause.value, inner)
        behind = bound | _given(body)
        self._known(value, behind)
        value = self._put(value, behind)
        other = self._clause(clause.other, scope, bound)[1] if clause.other is not None else None
        return inner, replace(clause, value=value, body=body, other=other)

    def _body(self, body: Iterable[Expr], scope: Names) -> tuple[Expr, ...]:
        """In the order written: it is put right where it is known what is bound around it."""
        inner = scope | _declared(body)
        return tuple(self._expr(one, inner) for one in body)

    def _expr(self, expr: Expr, scope: Names) -> Expr:
        inner = scope
        if expr.kind == "every":
            inner = scope | frozenset(_variables([part for part in (expr.left, expr.right) if part is not None]))
        return replace(
            expr,
            term=None if expr.term is None else self._term(expr.term, scope),
            left=None if expr.left is None else self._term(expr.left, inner),
            right=None if expr.right is None else self._term(expr.right, inner if expr.kind == "every" else scope),
            body=self._body(expr.body, inner),
            withs=tuple(
                With(line=w.line, target=self._target(w.target), value=self._term(w.value, scope)) for w in expr.withs
            ),
        )

    def _target(self, target: Term) -> Term:
        """`input.x`, `data.x`, or a function: a Var of its name, or a reference into data."""
        if isinstance(target, Var) and target.name not in _ROOTS:
            if target.name in self._rules:
                return self._of_package(target.name, target.line)
            return target
        if (
            isinstance(target, Ref)
            and isinstance(target.head, Var)
            and target.head.name not in (*_ROOTS, *self._aliases)
        ):
            return Var(line=target.line, name=".".join([target.head.name, *(part.value for part in target.parts)]))
        return self._term(target, frozenset())

    def _term(self, term: Term, scope: Names) -> Term:
        several = partial(self._terms, scope=scope)
        match term:
            case Var():
                return self._variable(term, scope)
            case Ref():
                head = self._term(term.head, scope)
                parts = several(term.parts)
                if isinstance(head, Ref) and isinstance(head.head, Var) and head.head.name in _ROOTS:
                    return replace(head, parts=(*head.parts, *parts))
                return replace(term, head=head, parts=parts)
            case ArrayTerm() | SetTerm():
                return replace(term, items=several(term.items))
            case ObjectTerm():
                return replace(term, pairs=tuple((self._term(k, scope), self._term(v, scope)) for k, v in term.pairs))
            case Template():
                return replace(term, parts=several(term.parts))
            case Call():
                return self._call(term, several(term.args), scope)
            case Comprehension():
                inner = scope | _declared(term.body)
                key = None if term.key is None else self._term(term.key, inner)
                return replace(term, key=key, value=self._term(term.value, inner), body=self._body(term.body, scope))
        return term

    def _terms(self, terms: Iterable[Term], scope: Names) -> tuple[Term, ...]:
        return tuple(self._term(one, scope) for one in terms)

    def _variable(self, var: Var, scope: Names) -> Term:
        if var.name in scope or var.name in _ROOTS:
            return var
        path = self._aliases.get(var.name)
        if path is not None:
            parts = tuple(Scalar(line=var.line, value=part) for part in path[1:])
            return Ref(line=var.line, head=Var(line=var.line, name=path[0]), parts=parts)
        return self._of_package(var.name, var.line) if var.name in self._rules else var

    def _of_package(self, name: str, line: int) -> Ref:
        parts = tuple(Scalar(line=line, value=part) for part in (*self._package, name))
        return Ref(line=line, head=Var(line=line, name="data"), parts=parts)

    def _call(self, call: Call, args: tuple[Term, ...], scope: Names) -> Term:
        parts = tuple(call.name.split("."))
        path: tuple[str, ...] | None = None
        if parts[0] in self._aliases and parts[0] not in scope:
            path = (*self._aliases[parts[0]], *parts[1:])[1:]
        elif parts[0] == "data":
            path = parts[1:]
        elif len(parts) == 1 and parts[0] in self._rules:
            path = (*self._package, parts[0])
        if path is not None:
            count = self._arity(path)
            if count is not None and count != len(args):
                raise self._fault(
                    call.line, "rego_type_error", f"function {call.name} has {count} arguments, not {len(args)}"
                )
            if count is not None:
                return replace(call, args=args, path=path)
        elif call.name in self._builtins:
            return replace(call, args=args)
        raise self._fault(call.line, "rego_type_error", f"undefined function {call.name}")

    # order

    def _order(self, body: list[Expr], bound: Names) -> tuple[Expr, ...]:
        around = bound | frozenset(name for expr in body for name in _outside(expr))
        found: list[Expr] = []
        waiting = [part for expr in body for part in _pairwise(expr)]
        while waiting:
            ready = (expr for expr in waiting if not self._missing(expr, bound, around))
            expr = next(ready, None)
            if expr is None:
                raise self._unsafe(waiting[0].line, self._missing(waiting[0], bound, around)[0])
            waiting.remove(expr)
            found.append(self._closed(expr, bound, around))
            bound |= _gives(expr)
        return tuple(found)

    def _missing(self, expr: Expr, bound: Names, around: Names) -> list[str]:
        """Variables that must have values before, and have none."""
        needed = [name for w in expr.withs for name in _needs(w.value, around)]
        match expr.kind:
            case "some":
                return []
            case "unify" | "assign":
                left, right = list(_pattern(expr.left)), list(_pattern(expr.right))
                needed += [*_rest(expr.left, around), *_rest(expr.right, around)]
                if (
                    expr.kind == "assign"
                    or all(name in bound for name in right)
                    or not all(name in bound for name in left)
                ):
                    needed += right
            case "in":
                needed += _needs(expr.term, around)
                needed += [name for part in (expr.left, expr.right) if part is not None for name in _rest(part, around)]
            case "every" | "not":
                needed += _free(expr, around)
            case _:
                needed += _needs(expr.term, around)
        return [name for name in dict.fromkeys(needed) if name not in bound]

    def _closed(self, expr: Expr, bound: Names, around: Names) -> Expr:
        """With the bodies inside it in order: what they have of the body around is bound by now, or never will be."""
        known = bound | (_gives(expr) & around)
        put = partial(self._put, known=known)
        body = expr.body
        if expr.kind == "every":
            own = frozenset(_variables([part for part in (expr.left, expr.right) if part is not None]))
            body = self._order(list(body), known | own)
        elif expr.kind == "not":
            body = self._order(list(body), known)
        return replace(
            expr,
            term=None if expr.term is None else put(expr.term),
            left=None if expr.left is None else put(expr.left),
            right=None if expr.right is None else put(expr.right),
            body=body,
            withs=tuple(replace(w, value=put(w.value)) for w in expr.withs),
        )

    def _put(self, term: Term, known: Names) -> Term:
        several = partial(self._put_all, known=known)
        match term:
            case Ref():
                return replace(term, head=self._put(term.head, known), parts=several(term.parts))
            case ArrayTerm() | SetTerm():
                return replace(term, items=several(term.items))
            case ObjectTerm():
                return replace(term, pairs=tuple((self._put(k, known), self._put(v, known)) for k, v in term.pairs))
            case Template():
                return replace(term, parts=several(term.parts))
            case Call():
                return replace(term, args=several(term.args))
            case Comprehension():
                body = self._order(list(term.body), known)
                inner = known | _given(body)
                for part in (term.key, term.value):
                    if part is not None:
                        self._known(part, inner)
                key = None if term.key is None else self._put(term.key, inner)
                return replace(term, key=key, value=self._put(term.value, inner), body=body)
        return term

    def _put_all(self, terms: Iterable[Term], known: Names) -> tuple[Term, ...]:
        return tuple(self._put(one, known) for one in terms)

    def _known(self, term: Term, bound: Names) -> None:
        """Raises RegoError where a head has a variable that its body does not bind."""
        for name in _needs(term, bound):
            if name not in bound:
                raise self._unsafe(term.line, name)

    def _unsafe(self, line: int, name: str) -> RegoError:
        shown = "_" if name.startswith("_") and name[1:].isdigit() else name
        return self._fault(line, "rego_unsafe_var_error", f"var {shown} is unsafe")

    def _fault(self, line: int, code: str, message: str) -> RegoError:
        return RegoError(f"{self._where}:{line}", code, message)


def _declared(body: Iterable[Expr]) -> Names:
    """Names that the body itself introduces, which hide rules and imports."""
    found: set[str] = set()
    for expr in body:
        if expr.kind == "assign":
            found |= set(_variables([expr.left]))
        elif expr.kind == "some":
            found |= set(expr.names)
        elif expr.kind == "in":
            found |= set(_variables([part for part in (expr.left, expr.right) if part is not None]))
    return frozenset(found)


def _variables(terms: Iterable[Term]) -> Iterator[str]:
    """Of patterns: variables, also within arrays and values of objects."""
    for term in terms:
        yield from _pattern(term)


def _pattern(term: Term) -> Iterator[str]:
    match term:
        case Var() if term.name not in _ROOTS:
            yield term.name
        case ArrayTerm():
            yield from _variables(term.items)
        case ObjectTerm():
            yield from _variables(value for _, value in term.pairs)


def _rest(term: Term, around: Names) -> Iterator[str]:
    """What a pattern needs besides: in references, calls, keys."""
    match term:
        case Var():
            return
        case ArrayTerm():
            for item in term.items:
                yield from _rest(item, around)
        case ObjectTerm():
            for key, value in term.pairs:
                yield from _needs(key, around)
                yield from _rest(value, around)
        case _:
            yield from _needs(term, around)


def _needs(term: Term, around: Names) -> list[str]:
    """Variables that must have values before a term is evaluated. around: those of the body that it is in."""
    gives = set(_iterates(term))
    return [name for name in _uses(term, around) if name not in gives]


def _uses(term: Term, around: Names) -> Iterator[str]:
    match term:
        case Var() if term.name not in _ROOTS:
            yield term.name
        case Ref():
            yield from _uses(term.head, around)
            for part in term.parts:
                if not isinstance(part, Var | ArrayTerm | ObjectTerm):
                    yield from _uses(part, around)
                elif not isinstance(part, Var):
                    yield from _rest(part, around)
        case ArrayTerm() | SetTerm():
            for item in term.items:
                yield from _uses(item, around)
        case ObjectTerm():
            for pair in term.pairs:
                for part in pair:
                    yield from _uses(part, around)
        case Template():
            for part in term.parts:
                yield from _uses(part, around)
        case Call():
            for arg in term.args:
                yield from _uses(arg, around)
        case Comprehension():
            inside = [name for expr in term.body for name in _all(expr)]
            for part in (term.key, term.value):
                inside += [] if part is None else list(_every(part))
            own = _declared(term.body)
            yield from (name for name in inside if name in around and name not in own)


def _iterates(term: Term) -> Iterator[str]:
    """Variables that references bind while they are evaluated."""
    match term:
        case Ref():
            yield from _iterates(term.head)
            for part in term.parts:
                yield from _pattern(part) if isinstance(part, Var | ArrayTerm | ObjectTerm) else _iterates(part)
        case ArrayTerm() | SetTerm():
            for item in term.items:
                yield from _iterates(item)
        case ObjectTerm():
            for pair in term.pairs:
                for part in pair:
                    yield from _iterates(part)
        case Call():
            for arg in term.args:
                yield from _iterates(arg)


def _gives(expr: Expr) -> Names:
    """Variables that have values behind an expression."""
    match expr.kind:
        case "some" | "not" | "every":
            return frozenset()
        case "unify" | "assign":
            sides = (expr.left, expr.right)
            return frozenset(name for side in sides for name in (*_pattern(side), *_iterates(side)))
        case "in":
            sides = tuple(part for part in (expr.left, expr.right) if part is not None)
            return frozenset(name for side in sides for name in _pattern(side)) | frozenset(_iterates(expr.term))
    return frozenset(_iterates(expr.term))


def _given(body: Iterable[Expr]) -> Names:
    return frozenset(name for expr in body for name in _gives(expr))


def _outside(expr: Expr) -> Iterator[str]:
    """Variables of an expression that are not in a body inside it."""
    if expr.kind in ("not", "every"):
        return
    yield from _gives(expr)
    for term in (expr.term, expr.left, expr.right):
        if term is not None:
            yield from (name for name in _uses(term, frozenset()))


def _free(expr: Expr, around: Names) -> list[str]:
    """Of `not` and `every`: what they have in common with the body around them."""
    own: set[str] = set()
    found: list[str] = []
    if expr.kind == "every":
        own = set(_variables([part for part in (expr.left, expr.right) if part is not None]))
        found = _needs(expr.term, around)
    own |= _declared(expr.body)
    return found + [name for one in expr.body for name in _all(one) if name in around and name not in own]


def _all(expr: Expr) -> Iterator[str]:
    """Every variable in an expression."""
    for term in (expr.term, expr.left, expr.right, *(w.value for w in expr.withs)):
        if term is not None:
            yield from _every(term)
    for one in expr.body:
        yield from _all(one)


def _every(term: Term) -> Iterator[str]:
    match term:
        case Var() if term.name not in _ROOTS:
            yield term.name
        case Ref():
            yield from _every(term.head)
            for part in term.parts:
                yield from _every(part)
        case ArrayTerm() | SetTerm():
            for item in term.items:
                yield from _every(item)
        case ObjectTerm():
            for pair in term.pairs:
                for part in pair:
                    yield from _every(part)
        case Template():
            for part in term.parts:
                yield from _every(part)
        case Call():
            for arg in term.args:
                yield from _every(arg)
        case Comprehension():
            for part in (term.key, term.value):
                if part is not None:
                    yield from _every(part)
            for expr in term.body:
                yield from _all(expr)


def _pairwise(expr: Expr) -> Iterator[Expr]:
    """`[a, b] = [c, d]` is `a = c` and `b = d`."""
    left, right = expr.left, expr.right
    if (
        expr.kind == "unify"
        and isinstance(left, ArrayTerm)
        and isinstance(right, ArrayTerm)
        and len(left.items) == len(right.items)
    ):
        for one, other in zip(left.items, right.items, strict=True):
            yield from _pairwise(replace(expr, left=one, right=other))
    else:
        yield expr
