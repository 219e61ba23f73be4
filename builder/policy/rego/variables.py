"""Variables of terms and expressions: which ones they introduce, need, and give values to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

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
)

ROOTS = ("input", "data")
Names = frozenset[str]
Term = Any


def declared(body: Iterable[Expr]) -> Names:
    """Names that the body itself introduces, which hide rules and imports."""
    found: set[str] = set()
    for expr in body:
        if expr.kind == "assign":
            found |= set(variables([expr.left]))
        elif expr.kind == "some":
            found |= set(expr.names)
        elif expr.kind == "in":
            found |= set(variables([part for part in (expr.left, expr.right) if part is not None]))
    return frozenset(found)


def variables(terms: Iterable[Term]) -> Iterator[str]:
    """Of patterns: variables, also within arrays and values of objects."""
    for term in terms:
        yield from pattern(term)


def pattern(term: Term) -> Iterator[str]:
    match term:
        case Var() if term.name not in ROOTS:
            yield term.name
        case ArrayTerm():
            yield from variables(term.items)
        case ObjectTerm():
            yield from variables(value for _, value in term.pairs)


def needed_by_pattern(term: Term, around: Names) -> Iterator[str]:
    """What a pattern needs besides: in references, calls, keys."""
    match term:
        case Var():
            return
        case ArrayTerm():
            for item in term.items:
                yield from needed_by_pattern(item, around)
        case ObjectTerm():
            for key, value in term.pairs:
                yield from needed(key, around)
                yield from needed_by_pattern(value, around)
        case _:
            yield from needed(term, around)


def needed(term: Term, around: Names) -> list[str]:
    """Variables that must have values before a term is evaluated. around: those of the body that it is in."""
    gives = set(_iterates(term))
    return [name for name in _uses(term, around) if name not in gives]


def _uses(term: Term, around: Names) -> Iterator[str]:
    match term:
        case Var() if term.name not in ROOTS:
            yield term.name
        case Ref():
            yield from _uses(term.head, around)
            for part in term.parts:
                if not isinstance(part, Var | ArrayTerm | ObjectTerm):
                    yield from _uses(part, around)
                elif not isinstance(part, Var):
                    yield from needed_by_pattern(part, around)
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
            own = declared(term.body)
            yield from (name for name in inside if name in around and name not in own)


def _iterates(term: Term) -> Iterator[str]:
    """Variables that references bind while they are evaluated."""
    match term:
        case Ref():
            yield from _iterates(term.head)
            for part in term.parts:
                yield from pattern(part) if isinstance(part, Var | ArrayTerm | ObjectTerm) else _iterates(part)
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


def given_by(expr: Expr) -> Names:
    """Variables that have values behind an expression."""
    match expr.kind:
        case "some" | "not" | "every":
            return frozenset()
        case "unify" | "assign":
            sides = (expr.left, expr.right)
            return frozenset(name for side in sides for name in (*pattern(side), *_iterates(side)))
        case "in":
            sides = tuple(part for part in (expr.left, expr.right) if part is not None)
            return frozenset(name for side in sides for name in pattern(side)) | frozenset(_iterates(expr.term))
    return frozenset(_iterates(expr.term))


def given_by_all(body: Iterable[Expr]) -> Names:
    return frozenset(name for expr in body for name in given_by(expr))


def outside(expr: Expr) -> Iterator[str]:
    """Variables of an expression that are not in a body inside it."""
    if expr.kind in ("not", "every"):
        return
    yield from given_by(expr)
    for term in (expr.term, expr.left, expr.right):
        if term is not None:
            yield from (name for name in _uses(term, frozenset()))


def shared(expr: Expr, around: Names) -> list[str]:
    """Of `not` and `every`: what they have in common with the body around them."""
    own: set[str] = set()
    found: list[str] = []
    if expr.kind == "every":
        own = set(variables([part for part in (expr.left, expr.right) if part is not None]))
        found = needed(expr.term, around)
    own |= declared(expr.body)
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
        case Var() if term.name not in ROOTS:
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


def pairwise(expr: Expr) -> Iterator[Expr]:
    """`[a, b] = [c, d]` is `a = c` and `b = d`; so are the values of two objects with the same keys."""
    pairs = _pairs(expr.left, expr.right) if expr.kind == "unify" else None
    if pairs is None:
        yield expr
        return
    for one, other in pairs:
        yield from pairwise(replace(expr, left=one, right=other))


def _pairs(left: Term, right: Term) -> list[tuple[Term, Term]] | None:
    if isinstance(left, ArrayTerm) and isinstance(right, ArrayTerm):
        return list(zip(left.items, right.items, strict=True)) if len(left.items) == len(right.items) else None
    if not isinstance(left, ObjectTerm) or not isinstance(right, ObjectTerm):
        return None
    one, other = _by_key(left), _by_key(right)
    if one is None or other is None or one.keys() != other.keys():
        return None
    return [(value, other[name]) for name, value in one.items()]


def _by_key(term: ObjectTerm) -> dict[str, Term] | None:
    """None where a key is no text, or is there twice."""
    found = {k.value: v for k, v in term.pairs if isinstance(k, Scalar) and isinstance(k.value, str)}
    return found if len(found) == len(term.pairs) else None
