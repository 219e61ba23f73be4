"""Expressions of bodies in an order in which each variable has a value before it is needed.

OPA's compiler does the same (rewriteBodies and safety in ast/compile.go): an expression waits for the variables that
others bind; what would wait for ever is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from builder.policy.rego.faults import RegoError
from builder.policy.rego.nodes import (
    ArrayTerm,
    Call,
    Comprehension,
    Expr,
    ObjectTerm,
    Ref,
    SetTerm,
    Template,
)
from builder.policy.rego.scopes import written
from builder.policy.rego.variables import (
    Names,
    Term,
    given_by,
    given_by_all,
    needed,
    needed_by_pattern,
    outside,
    pairwise,
    pattern,
    shared,
    variables,
)


class Ordering:
    """Of one module. Raises RegoError, with file and line."""

    def __init__(self, where: str) -> None:
        self._where = where

    def order(self, body: list[Expr], bound: Names) -> tuple[Expr, ...]:
        around = bound | frozenset(name for expr in body for name in outside(expr))
        found: list[Expr] = []
        waiting = [part for expr in body for part in pairwise(expr)]
        while waiting:
            ready = (expr for expr in waiting if not self._missing(expr, bound, around))
            expr = next(ready, None)
            if expr is None:
                raise self._unsafe(waiting[0].line, self._missing(waiting[0], bound, around)[0])
            waiting.remove(expr)
            found.append(self._closed(expr, bound, around))
            bound |= given_by(expr)
        return tuple(found)

    def _missing(self, expr: Expr, bound: Names, around: Names) -> list[str]:
        """Variables that must have values before, and have none."""
        wanted = [name for w in expr.withs for name in needed(w.value, around)]
        match expr.kind:
            case "some":
                return []
            case "unify" | "assign":
                left, right = list(pattern(expr.left)), list(pattern(expr.right))
                wanted += [*needed_by_pattern(expr.left, around), *needed_by_pattern(expr.right, around)]
                if (
                    expr.kind == "assign"
                    or all(name in bound for name in right)
                    or not all(name in bound for name in left)
                ):
                    wanted += right
            case "in":
                wanted += needed(expr.term, around)
                wanted += [
                    name
                    for part in (expr.left, expr.right)
                    if part is not None
                    for name in needed_by_pattern(part, around)
                ]
            case "every" | "not":
                wanted += shared(expr, around)
            case _:
                wanted += needed(expr.term, around)
        return [name for name in dict.fromkeys(wanted) if name not in bound]

    def _closed(self, expr: Expr, bound: Names, around: Names) -> Expr:
        """With the bodies inside it in order: what they have of the body around is bound by now, or never will be."""
        known = bound | (given_by(expr) & around)
        put = partial(self.put, known=known)
        body = expr.body
        if expr.kind == "every":
            own = frozenset(variables([part for part in (expr.left, expr.right) if part is not None]))
            body = self.order(list(body), known | own)
        elif expr.kind == "not":
            body = self.order(list(body), known)
        return replace(
            expr,
            term=None if expr.term is None else put(expr.term),
            left=None if expr.left is None else put(expr.left),
            right=None if expr.right is None else put(expr.right),
            body=body,
            withs=tuple(replace(w, value=put(w.value)) for w in expr.withs),
        )

    def put(self, term: Term, known: Names) -> Term:
        several = partial(self._put_all, known=known)
        match term:
            case Ref():
                return replace(term, head=self.put(term.head, known), parts=several(term.parts))
            case ArrayTerm() | SetTerm():
                return replace(term, items=several(term.items))
            case ObjectTerm():
                return replace(term, pairs=tuple((self.put(k, known), self.put(v, known)) for k, v in term.pairs))
            case Template():
                return replace(term, parts=several(term.parts))
            case Call():
                return replace(term, args=several(term.args))
            case Comprehension():
                body = self.order(list(term.body), known)
                inner = known | given_by_all(body)
                for part in (term.key, term.value):
                    if part is not None:
                        self.known(part, inner)
                key = None if term.key is None else self.put(term.key, inner)
                return replace(term, key=key, value=self.put(term.value, inner), body=body)
        return term

    def _put_all(self, terms: Iterable[Term], known: Names) -> tuple[Term, ...]:
        return tuple(self.put(one, known) for one in terms)

    def known(self, term: Term, bound: Names) -> None:
        """Raises RegoError where a head has a variable that its body does not bind."""
        for name in needed(term, bound):
            if name not in bound:
                raise self._unsafe(term.line, name)

    def _unsafe(self, line: int, name: str) -> RegoError:
        return RegoError(f"{self._where}:{line}", "rego_unsafe_var_error", f"var {written(name)} is unsafe")
