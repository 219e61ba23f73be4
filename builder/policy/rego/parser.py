"""The parser of Rego (version 1): tokens of a statement to nodes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

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
from builder.policy.tokens import Token

_COMPARE = {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_SUM, _PRODUCT = {"+": "plus", "-": "minus"}, {"*": "mul", "/": "div", "%": "rem"}
_LITERALS = {"null": None, "true": True, "false": False}
_WORDS = frozenset(
    ("package", "import", "as", "default", "else", "if", "not", "some", "every", "in", "contains", "with")
)
_DEPTH = 200
Term = object


def parse_rule(tokens: tuple[Token, ...], where: str) -> list[Rule]:
    """The rules that a statement declares. Raises RegoError, with file and line."""
    return _Parser(tokens, where).rule()


def parse_term(tokens: tuple[Token, ...], where: str) -> Term:
    """One term, and nothing else."""
    parser = _Parser(tokens, where)
    term = parser.term()
    parser.end()
    return term


class _Parser:
    def __init__(self, tokens: tuple[Token, ...], where: str) -> None:
        self._tokens, self._where = tokens, where
        self._at = 0
        self._depth = 0
        self._pipe = True  # whether | is the union of sets, which it is not at the begin of a comprehension
        self._hidden = 0

    # tokens

    def _peek(self, ahead: int = 0) -> Token | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _is(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        if token is None or token.text != text or token.kind not in ("mark", "name"):
            return False
        return token.kind == "mark" or not self._is_head(ahead)

    def _is_head(self, ahead: int = 0) -> bool:
        """Whether a reference begins here: `if.x` is one, though `if` is a keyword."""
        after = self._peek(ahead + 1)
        return after is not None and after.kind == "mark" and after.text == "." and after.joined

    def _take(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _want(self, text: str) -> Token:
        if not self._is(text):
            raise self._bad(f"{text!r} was expected")
        self._at += 1
        return self._tokens[self._at - 1]

    def _bad(self, problem: str) -> RegoError:
        token = self._peek()
        line = token.line if token is not None else self._tokens[-1].line
        found = "the statement ends" if token is None else f"there is {token.text!r:.40}"
        return RegoError(f"{self._where}:{line}", "rego_parse_error", f"{problem}, {found}")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._bad("the end was expected")

    @property
    def _line(self) -> int:
        token = self._peek() or self._tokens[-1]
        return token.line

    # rules

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
        withs: list[With] = []
        while self._is("with"):
            begin = self._line
            self._at += 1
            target = self._reference()
            self._want("as")
            withs.append(With(line=begin, target=target, value=self.term()))
        if withs and expr.kind == "some":
            raise self._bad("`with` was not expected")
        return Expr(
            line=line, kind=expr.kind, term=expr.term, left=expr.left, right=expr.right, names=expr.names,
            body=expr.body, withs=tuple(withs),
        )  # fmt: skip

    def _plain_expr(self, line: int) -> Expr:
        if self._take("not"):
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

    def _pair_member(self, left: Term) -> Term:
        """`k, v in xs`, behind its first part, where it may be: in a body and in brackets."""
        line = self._line
        if not self._take(","):
            return left
        value = self.term(plain=True)
        self._want("in")
        return self._members(Call(line=line, name="internal.member_3", args=(left, value, self._compare())))

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

    # terms

    def term(self, plain: bool = False) -> Term:
        """plain: without `in`, which is a word of the expression around it."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._bad(f"terms are nested more than {_DEPTH} deep")
        try:
            return self._sets() if plain else self._member()
        finally:
            self._depth -= 1

    def _member(self) -> Term:
        return self._members(self._compare())

    def _members(self, left: Term) -> Term:
        while self._is("in"):
            line = self._line
            self._at += 1
            left = Call(line=line, name="internal.member_2", args=(left, self._compare()))
        return left

    def _binary(self, names: dict[str, str], below: Callable[[], Term]) -> Term:
        left = below()
        while True:
            token = self._peek()
            if token is None or token.kind != "mark" or token.text not in names:
                return left
            self._at += 1
            left = Call(line=token.line, name=names[token.text], args=(left, below()))

    def _compare(self) -> Term:
        return self._binary(_COMPARE, self._sets)

    def _sets(self) -> Term:
        return self._binary({"|": "or"} if self._pipe else {}, self._intersection)

    def _intersection(self) -> Term:
        return self._binary({"&": "and"}, self._sum)

    def _sum(self) -> Term:
        return self._binary(_SUM, self._product)

    def _product(self) -> Term:
        return self._binary(_PRODUCT, self._operand)

    def _operand(self) -> Term:
        line = self._line
        if self._is("-"):
            self._at += 1
            operand = self._operand()
            if (
                isinstance(operand, Scalar)
                and isinstance(operand.value, int | float)
                and not isinstance(operand.value, bool)
            ):
                return Scalar(line=line, value=-operand.value)
            return Call(line=line, name="minus", args=(Scalar(line=line, value=0), operand))
        return self._suffixed(self._primary())

    def _suffixed(self, term: Term) -> Term:
        parts: list[Term] = []
        line = self._line
        while True:
            token = self._peek()
            if token is None or token.kind != "mark" or not token.joined:
                break
            if token.text == ".":
                self._at += 1
                parts.append(Scalar(line=token.line, value=self._name(words=True)))
            elif token.text == "[":
                self._at += 1
                parts.append(self._open(self.term))
                self._want("]")
            elif token.text == "(":
                name = _dotted(term, parts)
                if not name:
                    raise self._bad("the name of a function was expected")
                self._at += 1
                call = Call(line=token.line, name=name, args=self._list(")"))
                return self._suffixed(call)
            else:
                break
        if not parts:
            return term
        return Ref(line=line, head=term, parts=tuple(parts))

    def _primary(self) -> Term:
        token = self._peek()
        if token is None:
            raise self._bad("a term was expected")
        line = token.line
        if token.kind == "number":
            self._at += 1
            value = _number(token.text)
            if value in (math.inf, -math.inf):
                raise RegoError(f"{self._where}:{line}", "rego_parse_error", "a number is too large")
            return Scalar(line=line, value=value)
        if token.kind == "string":
            self._at += 1
            return Scalar(line=line, value=self._text(token))
        if token.kind == "template":
            return self._template()
        if token.kind == "name":
            if token.text in _LITERALS and not self._is_head():
                self._at += 1
                return Scalar(line=line, value=_LITERALS[token.text])
            if token.text == "set" and self._is("(", 1) and self._is(")", 2):
                self._at += 3
                return SetTerm(line=line, items=())
            if token.text == "contains" and self._is("(", 1):
                self._at += 1
                return Var(line=line, name="contains")
            return Var(line=line, name=self._name())
        if token.text == "[":
            self._at += 1
            return self._open(lambda: self._array(line))
        if token.text == "{":
            self._at += 1
            return self._open(lambda: self._braces(line))
        if token.text == "(":
            self._at += 1
            inner = self._open(lambda: self._pair_member(self.term()))
            self._want(")")
            return inner
        raise self._bad("a term was expected")

    def _open(self, read: Callable[[], Term]) -> Term:
        """Within brackets | is the union again."""
        before, self._pipe = self._pipe, True
        try:
            return read()
        finally:
            self._pipe = before

    def _element(self) -> Term:
        """The first one within brackets, behind which | begins a body."""
        before, self._pipe = self._pipe, False
        try:
            return self.term()
        finally:
            self._pipe = before

    def _array(self, line: int) -> Term:
        if self._take("]"):
            return ArrayTerm(line=line, items=())
        first = self._element()
        if self._take("|"):
            return Comprehension(line=line, kind="array", value=first, body=self._body("]"))
        return ArrayTerm(line=line, items=self._rest(first, "]"))

    def _braces(self, line: int) -> Term:
        if self._take("}"):
            return ObjectTerm(line=line, pairs=())
        first = self._element()
        if self._take(":"):
            value = self._element()
            if self._take("|"):
                return Comprehension(line=line, kind="object", key=first, value=value, body=self._body("}"))
            pairs = [(first, value)]
            while not self._take("}"):
                self._want(",")
                if self._take("}"):
                    break
                name = self.term()
                self._want(":")
                pairs.append((name, self.term()))
            return ObjectTerm(line=line, pairs=tuple(pairs))
        if self._take("|"):
            return Comprehension(line=line, kind="set", value=first, body=self._body("}"))
        return SetTerm(line=line, items=self._rest(first, "}"))

    def _rest(self, first: Term, end: str) -> tuple[Term, ...]:
        items = [first]
        while not self._take(end):
            self._want(",")
            if self._take(end):
                break
            items.append(self.term())
        return tuple(items)

    def _list(self, end: str) -> tuple[Term, ...]:
        if self._take(end):
            return ()
        before, self._pipe = self._pipe, True
        try:
            return self._rest(self.term(), end)
        finally:
            self._pipe = before

    def _template(self) -> Term:
        """Texts and terms by turns; the last text has `end` for its quote."""
        line = self._line
        parts: list[Term] = []
        while True:
            token = self._peek()
            if token is None or token.kind != "template":
                raise self._bad("the text of a template string was expected")
            self._at += 1
            parts.append(Scalar(line=token.line, value=self._text(token)))
            if token.ends:
                return Template(line=line, parts=tuple(parts))
            parts.append(self._open(self.term))

    def _reference(self) -> Term:
        return self._suffixed(Var(line=self._line, name=self._name()))

    def _name(self, words: bool = False) -> str:
        """words: keywords are names, as they are behind a dot and before one."""
        token = self._peek()
        plain = words or self._is_head()
        if token is None or token.kind != "name" or (not plain and (token.text in _WORDS or token.text in _LITERALS)):
            raise self._bad("a name was expected")
        self._at += 1
        if token.text == "_" and not words:
            self._hidden += 1
            return f"_{token.offset}"
        return token.text

    def _text(self, token: Token) -> str:
        text = token.text.replace("\\{", "{") if token.kind == "template" else token.text
        if token.raw:
            return text
        try:
            found: str = json.loads(f'"{text}"', strict=False)
        except ValueError:
            raise RegoError(f"{self._where}:{token.line}", "rego_parse_error", "invalid escape in a string") from None
        return found


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


def _dotted(term: Term, parts: list[Term]) -> str:
    if not isinstance(term, Var):
        return ""
    names = [part.value for part in parts if isinstance(part, Scalar) and isinstance(part.value, str)]
    return ".".join([term.name, *names]) if len(names) == len(parts) else ""


def _number(text: str) -> int | float:
    if text.isdecimal():
        return int(text)
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
