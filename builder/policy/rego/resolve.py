"""Names of a module become what they stand for: imports and rules of the package are references into `data`, calls
name a rule or a built-in function, as OPA's compiler has it (ast/compile.go).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
    Scalar,
    SetTerm,
    Template,
    Var,
    With,
)
from builder.policy.rego.ordering import Ordering
from builder.policy.rego.variables import (
    ROOTS,
    Names,
    Term,
    declared,
    given_by_all,
    variables,
)


class Resolver:
    """Of one module. aliases: of its imports, to paths. rules: of its package. builtins: what else can be called, and
    with how many arguments. arity: how many the function at a path has, None if there is none. is_rule: whether a rule
    is at a path. Raises RegoError, with file and line.
    """

    def __init__(
        self,
        where: str,
        package: tuple[str, ...],
        aliases: Mapping[str, tuple[str, ...]],
        rules: Collection[str],
        arity: Callable[[tuple[str, ...]], int | None],
        is_rule: Callable[[tuple[str, ...]], bool],
        builtins: Mapping[str, int | None],
    ) -> None:
        self._ordering = Ordering(where)
        self._where, self._package, self._aliases, self._rules = where, package, aliases, rules
        self._arity, self._is_rule, self._builtins = arity, is_rule, builtins

    def rule(self, rule: Rule) -> Rule:
        scope = frozenset(variables(rule.args or ()))
        args = None if rule.args is None else tuple(self._term(arg, scope) for arg in rule.args)
        inner, clause = self._clause(rule.clause, scope, scope)
        path = tuple(self._term(part, inner) for part in rule.path)
        bound = scope | given_by_all(clause.body)
        for part in path:
            self._ordering.known(part, bound)
        return replace(rule, args=args, clause=clause, path=tuple(self._ordering.put(part, bound) for part in path))

    def _clause(self, clause: Clause, scope: Names, bound: Names) -> tuple[Names, Clause]:
        inner = scope | declared(clause.body)
        body = self._ordering.order([self._expr(one, inner) for one in clause.body], bound)
        value = self._term(clause.value, inner)
        behind = bound | given_by_all(body)
        self._ordering.known(value, behind)
        value = self._ordering.put(value, behind)
        other = self._clause(clause.other, scope, bound)[1] if clause.other is not None else None
        return inner, replace(clause, value=value, body=body, other=other)

    def _body(self, body: Iterable[Expr], scope: Names) -> tuple[Expr, ...]:
        """In the order written: it is put right where it is known what is bound around it."""
        inner = scope | declared(body)
        return tuple(self._expr(one, inner) for one in body)

    def _expr(self, expr: Expr, scope: Names) -> Expr:
        if expr.kind == "term" and isinstance(expr.term, Call):
            expr = self._with_output(expr, expr.term, scope)
        inner = scope
        if expr.kind == "every":
            inner = scope | frozenset(variables([part for part in (expr.left, expr.right) if part is not None]))
        return replace(
            expr,
            term=None if expr.term is None else self._term(expr.term, scope),
            left=None if expr.left is None else self._term(expr.left, inner),
            right=None if expr.right is None else self._term(expr.right, inner if expr.kind == "every" else scope),
            body=self._body(expr.body, inner),
            withs=tuple(self._with(one, scope) for one in expr.withs),
        )

    def _with_output(self, expr: Expr, call: Call, scope: Names) -> Expr:
        """`count(x, n)`, the old form of `n = count(x)`; and eq(a, b), which is `a = b`."""
        if call.name == "eq" and len(call.args) == 2:
            return replace(expr, kind="unify", term=None, left=call.args[0], right=call.args[1])
        count = self._callee(call, scope)[1]
        if count is None or len(call.args) != count + 1:
            return expr
        return replace(expr, kind="unify", term=None, left=call.args[-1], right=replace(call, args=call.args[:-1]))

    def _with(self, one: With, scope: Names) -> With:
        target = self._target(one.target)
        wanted = self._wanted(target)
        name, function = _name(one.value), ""
        if name in self._builtins and name.partition(".")[0] not in (*scope, *self._aliases, *self._rules):
            function, count = name, self._builtins[name]
            value: Term = Scalar(line=one.line, value=None)
        else:
            value = self._term(one.value, scope)
            count = self._arity(_data_path(value))
        if (function or count is not None) and count != wanted:
            raise self._fault(one.line, "rego_type_error", f"{name} cannot stand in for what has other arguments")
        return With(line=one.line, target=target, value=value, function=function)

    def _wanted(self, target: Term) -> int | None:
        """How many arguments the target of a `with` has, None for what is no function."""
        if isinstance(target, Var):
            return None if target.name in ROOTS else self._builtins[target.name]
        path = _data_path(target)
        whole = isinstance(target, Ref) and all(isinstance(part, Scalar) for part in target.parts)
        if not whole or (target.head.name == "data" and not all(isinstance(part, str) for part in path)):
            raise self._fault(
                target.line, "rego_type_error", "`with` puts something in place of input.x, data.x or a function"
            )
        if any(self._is_rule(path[:length]) for length in range(1, len(path))):
            raise self._fault(
                target.line, "rego_compile_error", "with keyword cannot partially replace virtual document(s)"
            )
        return self._arity(path)

    def _target(self, target: Term) -> Term:
        """`input.x`, `data.x`, or a function: a Var of its name, or a reference into data."""
        if isinstance(target, Var) and target.name not in ROOTS:
            if target.name in (*self._rules, *self._aliases):
                return self._term(target, frozenset())
            name = target.name
        elif (
            isinstance(target, Ref)
            and isinstance(target.head, Var)
            and target.head.name not in (*ROOTS, *self._aliases, *self._rules)
        ):
            name = _name(target)
        else:
            return self._term(target, frozenset())
        if self._builtins.get(name) is None:
            raise self._fault(target.line, "rego_type_error", f"undefined function {name or 'behind with'}")
        return Var(line=target.line, name=name)

    def _term(self, term: Term, scope: Names) -> Term:
        several = partial(self._terms, scope=scope)
        match term:
            case Var():
                return self._variable(term, scope)
            case Ref():
                head = self._term(term.head, scope)
                parts = several(term.parts)
                if isinstance(head, Ref) and isinstance(head.head, Var) and head.head.name in ROOTS:
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
                inner = scope | declared(term.body)
                key = None if term.key is None else self._term(term.key, inner)
                return replace(term, key=key, value=self._term(term.value, inner), body=self._body(term.body, scope))
        return term

    def _terms(self, terms: Iterable[Term], scope: Names) -> tuple[Term, ...]:
        return tuple(self._term(one, scope) for one in terms)

    def _variable(self, var: Var, scope: Names) -> Term:
        if var.name in scope or var.name in ROOTS:
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
        path, count = self._callee(call, scope)
        if count is not None and count != len(args):
            problem = f"function {call.name} has {count} arguments, not {len(args)}"
            raise self._fault(call.line, "rego_type_error", problem)
        return replace(call, args=args, path=path)

    def _callee(self, call: Call, scope: Names) -> tuple[tuple[str, ...], int | None]:
        """The path of a rule, () for a built-in function, and how many arguments it has."""
        parts = tuple(call.name.split("."))
        path: tuple[str, ...] | None = None
        if parts[0] in self._aliases and parts[0] not in scope:
            path = (*self._aliases[parts[0]], *parts[1:])[1:]
        elif parts[0] == "data":
            path = parts[1:]
        elif parts[0] in self._rules:
            path = (*self._package, *parts)
        if path is not None:
            count = self._arity(path)
            if count is not None:
                return path, count
        elif call.name in self._builtins:
            return (), self._builtins[call.name]
        raise self._fault(call.line, "rego_type_error", f"undefined function {call.name}")

    def _fault(self, line: int, code: str, message: str) -> RegoError:
        return RegoError(f"{self._where}:{line}", code, message)


def _name(term: Term) -> str:
    """`a.b` of a variable or a reference, "" of anything else."""
    if isinstance(term, Var):
        return term.name
    if not isinstance(term, Ref) or not isinstance(term.head, Var):
        return ""
    parts = [part.value for part in term.parts if isinstance(part, Scalar) and isinstance(part.value, str)]
    return ".".join([term.head.name, *parts]) if len(parts) == len(term.parts) else ""


def _data_path(term: Term) -> tuple[str, ...]:
    """Of a reference into data, () of anything else."""
    if not isinstance(term, Ref) or not isinstance(term.head, Var) or term.head.name != "data":
        return ()
    return tuple(part.value for part in term.parts if isinstance(part, Scalar))
