"""Each variable that a body declares gets a name of its own, so that one inside another hides it.

OPA's compiler does the same (rewriteLocalVars in ast/compile.go): `:=`, `some`, `every` and arguments of functions
declare; comprehensions and `every` open a scope; a name that is used before it is declared, or declared twice, is an
error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

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
    SetTerm,
    Template,
    Var,
)
from builder.policy.rego.variables import ROOTS, Term

_MARK = "'"


def written(name: str) -> str:
    """The name of a variable as the policy has it."""
    name = name.partition(_MARK)[0]
    return "_" if name.startswith("_") and name[1:].isdigit() else name


def _names(terms: Iterable[Term]) -> Iterator[str]:
    for term in terms:
        match term:
            case Var():
                yield term.name
            case ArrayTerm():
                yield from _names(term.items)
            case ObjectTerm():
                yield from _names(value for _, value in term.pairs)


class _Scope:
    """names: as written, to the ones they got. how: what made a name known here. unused: names of `some`."""

    def __init__(self, outer: _Scope | None = None) -> None:
        self._outer = outer
        self.names: dict[str, str] = {}
        self.how: dict[str, str] = {}
        self.unused: dict[str, int] = {}

    def find(self, name: str) -> str | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                scope.unused.pop(name, None)
                return scope.names[name]
            scope = scope._outer
        return None


class Scopes:
    """Of one module."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._count = 0

    def rule(self, rule: Rule) -> Rule:
        """Raises RegoError, with file and line."""
        if rule.name in ROOTS:
            raise self._fault(rule.line, f"rules must not shadow {rule.name} (use a different rule name)")
        scope = _Scope()
        for name in dict.fromkeys(_names(rule.args or ())):
            self._declare(name, "argument", scope, rule.line)
        args = None if rule.args is None else tuple(self._term(arg, scope) for arg in rule.args)
        inner, clause = self._clause(rule.clause, scope)
        path = tuple(self._term(part, inner) for part in rule.path)
        return replace(rule, args=args, clause=clause, path=path)

    def _clause(self, clause: Clause, arguments: _Scope) -> tuple[_Scope, Clause]:
        scope = _Scope()
        scope.names, scope.how = dict(arguments.names), dict(arguments.how)
        body = self._body(clause.body, scope)
        value = self._term(clause.value, scope)
        other = None if clause.other is None else self._clause(clause.other, arguments)[1]
        self._all_used(scope)
        return scope, replace(clause, value=value, body=body, other=other)

    def _body(self, body: Iterable[Expr], scope: _Scope) -> tuple[Expr, ...]:
        return tuple(self._expr(expr, scope) for expr in body)

    def _expr(self, expr: Expr, scope: _Scope) -> Expr:
        withs = tuple(replace(one, value=self._term(one.value, scope)) for one in expr.withs)
        term = None if expr.term is None else self._term(expr.term, scope)
        right = expr.right if expr.right is None or expr.kind in ("in", "every") else self._term(expr.right, scope)
        body, names, left = expr.body, expr.names, expr.left
        match expr.kind:
            case "some":
                names = tuple(self._declare(name, "declared", scope, expr.line) for name in names)
                scope.unused |= dict.fromkeys(expr.names, expr.line)
            case "assign":
                left = self._assigned(left, scope)
            case "in":
                left, right = self._declared(expr, scope)
            case "every":
                scope = _Scope(scope)
                left, right = self._declared(expr, scope)
                body = self._body(body, scope)
                self._all_used(scope)
            case _:
                left = None if left is None else self._term(left, scope)
                body = self._body(body, scope)
        return replace(expr, term=term, left=left, right=right, names=names, body=body, withs=withs)

    def _declared(self, expr: Expr, scope: _Scope) -> tuple[Term, Term]:
        """The key and the value of `some … in` and `every`."""
        parts = [part for part in (expr.left, expr.right) if part is not None]
        for name in dict.fromkeys(_names(parts)):
            self._declare(name, "declared", scope, expr.line)
        left = None if expr.left is None else self._term(expr.left, scope)
        return left, self._term(expr.right, scope)

    def _assigned(self, term: Term, scope: _Scope) -> Term:
        match term:
            case Var():
                return replace(term, name=self._declare(term.name, "assigned", scope, term.line))
            case ArrayTerm():
                return replace(term, items=tuple(self._assigned(item, scope) for item in term.items))
            case ObjectTerm():
                pairs = tuple((self._term(key, scope), self._assigned(value, scope)) for key, value in term.pairs)
                return replace(term, pairs=pairs)
        raise self._fault(term.line, "only variables, and arrays and objects of them, can be assigned to")

    def _declare(self, name: str, how: str, scope: _Scope, line: int) -> str:
        if name in ROOTS:
            raise self._fault(line, f"variables must not shadow {name} (use a different variable name)")
        if name in scope.how:
            before = scope.how[name]
            problem = f"arg {name} redeclared" if before == "argument" else f"var {name} {before} above"
            raise self._fault(line, problem)
        self._count += 1
        scope.names[name], scope.how[name] = f"{name}{_MARK}{self._count}", how
        return scope.names[name]

    def _all_used(self, scope: _Scope) -> None:
        for name, line in scope.unused.items():
            raise self._fault(line, f"declared var {name} unused")

    def _term(self, term: Term, scope: _Scope) -> Term:
        one = partial(self._term, scope=scope)
        match term:
            case Var():
                name = scope.find(term.name)
                if name is None:
                    scope.how[term.name] = "referenced"
                    return term
                return replace(term, name=name)
            case Ref():
                return replace(term, head=one(term.head), parts=tuple(map(one, term.parts)))
            case ArrayTerm() | SetTerm():
                return replace(term, items=tuple(map(one, term.items)))
            case ObjectTerm():
                return replace(term, pairs=tuple((one(key), one(value)) for key, value in term.pairs))
            case Template():
                return replace(term, parts=tuple(map(one, term.parts)))
            case Call():
                return replace(term, args=tuple(map(one, term.args)))
            case Comprehension():
                inner = _Scope(scope)
                body = self._body(term.body, inner)
                key = None if term.key is None else self._term(term.key, inner)
                value = self._term(term.value, inner)
                self._all_used(inner)
                return replace(term, key=key, value=value, body=body)
        return term

    def _fault(self, line: int, problem: str) -> RegoError:
        return RegoError(f"{self._where}:{line}", "rego_compile_error", problem)
