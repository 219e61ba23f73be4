"""The parser of Rego (version 1): tokens of a statement to nodes."""

from __future__ import annotations

from builder.policy.rego.faults import RegoError
from builder.policy.rego.nodes import (
    ArrayTerm,
    Clause,
    Comprehension,
    Expr,
    ObjectTerm,
    Rule,
    Scalar,
    SetTerm,
    Var,
)
from builder.policy.rego.terms import Term, TermParser
from builder.policy.tokens import Token


def parse_rule(tokens: tuple[Token, ...], where: str) -> list[Rule]:
    """The rules that a statement declares. Raises RegoError, with file and line."""
    return _Parser(tokens, where).rule()


def parse_term(tokens: tuple[Token, ...], where: str) -> Term:
    """One term, and nothing else."""
    parser = _Parser(tokens, where)
    term = parser.term()
    parser.end()
    return term


class _Parser(TermParser):
    def rule(self) -> list[Rule]:
        default = self._take("default")
        line = self._line
        name = self._name()
        path: list[Term] = []
        args: tuple[Term, ...] | None = None
        while True:
            token = self._peek()
            if token is None or token.kind != "mark":
                break
            if token.text == "." and args is None:
                self._at += 1
                path.append(Scalar(line=line, value=self._name(words=True)))
            elif token.text == "[" and token.joined and args is None:
                self._at += 1
                path.append(self.term())
                self._want("]")
            elif token.text == "(" and token.joined and args is None:
                self._at += 1
                args = self._list(")")
            else:
                break
        if (args is not None or default) and not all(isinstance(p, Scalar) and isinstance(p.value, str) for p in path):
            raise self._bad("names of functions and of default rules have no variables")
        contains = self._take("contains")
        value: Term = Scalar(line=line, value=True)
        given = False
        if contains or self._take(":=") or self._take("="):
            value, given = self.term(), True
        if default and (not given or contains):
            raise self._bad("a default rule gives a value to a name")
        body = self._rule_body(required=not given and not default)
        if default:
            self._check_default(value, args or ())
        clause = Clause(line=line, value=value, body=body, other=None if contains else self._other())
        if clause.other is not None and any(not isinstance(part, Scalar) for part in path):
            raise self._bad("else cannot be used on rules with variables in their names")
        self.end()
        return [
            Rule(line=line, name=name, path=tuple(path), args=args, clause=clause, contains=contains, default=default)
        ]

    def _check_default(self, value: Term, args: tuple[Term, ...]) -> None:
        names = [arg.name for arg in args if isinstance(arg, Var)]
        if len(set(names)) < len(args):
            raise self._bad("a default rule has variables for arguments, each once")
        if not _is_plain(value):
            raise self._bad("the value of a default rule cannot contain variables, references or calls")

    def _rule_body(self, required: bool) -> tuple[Expr, ...]:
        if self._take("if"):
            return self._if_body()
        if self._is("{"):
            raise self._bad("`if` keyword is required before rule body")
        if required:
            raise self._bad("a value or a body with `if` was expected")
        return ()

    def _if_body(self) -> tuple[Expr, ...]:
        """As OPA has it: one expression if it is one, also with `{`; but a set, which is always true, is a body."""
        if not self._is("{"):
            return (self._expr(),)
        begin = self._at
        try:
            expr = self._expr()
        except RegoError:
            expr = None
        literal = expr.term if expr is not None and expr.kind == "term" else None
        if expr is not None and not isinstance(literal, SetTerm) and literal != ObjectTerm(line=expr.line, pairs=()):
            return (expr,)
        self._at, self._depth, self._pipe = begin + 1, 0, True
        return self._body("}")

    def _other(self) -> Clause | None:
        if not self._is("else"):
            return None
        line = self._line
        self._at += 1
        value: Term = Scalar(line=line, value=True)
        if self._take(":=") or self._take("="):
            value = self.term()
        return Clause(line=line, value=value, body=self._rule_body(required=False), other=self._other())

    # bodies

    def _body(self, end: str) -> tuple[Expr, ...]:
        found: list[Expr] = []
        while not self._take(end):
            if self._take(";"):
                continue
            if found and not self._separated():
                raise self._bad("a new line or ; was expected")
            found.append(self._expr())
        if not found:
            raise self._bad("a body that is not empty was expected")
        return tuple(found)

    def _separated(self) -> bool:
        before, token = self._tokens[self._at - 1], self._peek()
        return token is None or before.text == ";" or token.line > before.line

    def _expr(self) -> Expr:
        line = self._line
        expr = self._plain_expr(line)
        withs = self._withs()
        if withs and expr.kind == "some":
            raise self._bad("`with` was not expected")
        return Expr(
            line=line, kind=expr.kind, term=expr.term, left=expr.left, right=expr.right, names=expr.names,
            body=expr.body, withs=withs,
        )  # fmt: skip

    def _plain_expr(self, line: int) -> Expr:
        if self._take("not"):
            if self._is("not"):
                raise self._bad("an expression was expected")
            return Expr(line=line, kind="not", body=(self._plain_expr(line),))
        if self._is("some") and not self._is("(", 1):
            self._at += 1
            return self._some(line)
        if self._is("every") and not self._is("(", 1):
            self._at += 1
            first = self.term(plain=True)
            second = self.term(plain=True) if self._take(",") else None
            self._want("in")
            collection = self.term()
            self._want("{")
            body = self._body("}")
            key, value = (None, first) if second is None else (first, second)
            return Expr(line=line, kind="every", left=key, right=value, term=collection, body=body)
        left = self.term()
        if self._take(":="):
            return Expr(line=line, kind="assign", left=left, right=self.term())
        if self._take("="):
            return Expr(line=line, kind="unify", left=left, right=self.term())
        return Expr(line=line, kind="term", term=self._pair_member(left))

    def _some(self, line: int) -> Expr:
        first = self.term(plain=True)
        second = None
        terms = [first]
        while self._take(","):
            second = self.term(plain=True)
            terms.append(second)
        if self._take("in"):
            if len(terms) > 2:
                raise self._bad("one or two names before `in` were expected")
            key, value = (None, first) if len(terms) == 1 else (first, terms[1])
            return Expr(line=line, kind="in", left=key, right=value, term=self.term())
        names = tuple(term.name for term in terms if isinstance(term, Var))
        if len(names) != len(terms):
            raise self._bad("names of variables were expected")
        return Expr(line=line, kind="some", names=names)


def _is_plain(term: Term) -> bool:
    """Whether it has no variables but those of comprehensions."""
    match term:
        case Scalar() | Comprehension():
            return True
        case ArrayTerm() | SetTerm():
            return all(map(_is_plain, term.items))
        case ObjectTerm():
            return all(_is_plain(part) for pair in term.pairs for part in pair)
    return False
