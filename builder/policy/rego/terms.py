"""Terms of Rego: values, references, calls, operators by their precedence, comprehensions, template strings."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable

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
from builder.policy.rego.reader import LITERALS, Reader
from builder.policy.tokens import Token

_COMPARE = {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_SUM, _PRODUCT = {"+": "plus", "-": "minus"}, {"*": "mul", "/": "div", "%": "rem"}
_DEPTH = 200
Term = object


class TermParser(Reader, ABC):
    def __init__(self, tokens: tuple[Token, ...], where: str) -> None:
        super().__init__(tokens, where)
        self._depth = 0
        self._pipe = True  # whether | is the union of sets, which it is not at the begin of a comprehension

    @abstractmethod
    def _body(self, end: str) -> tuple[Expr, ...]:
        """Of a comprehension, up to its bracket."""

    def term(self, plain: bool = False) -> Term:
        """plain: without `in`, which is a word of the expression around it."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._bad(f"terms are nested more than {_DEPTH} deep")
        try:
            return self._sets() if plain else self._member()
        finally:
            self._depth -= 1

    def _pair_member(self, left: Term) -> Term:
        """`k, v in xs`, behind its first part, where it may be: in a body and in brackets."""
        line = self._line
        if not self._take(","):
            return left
        value = self.term(plain=True)
        self._want("in")
        return self._members(Call(line=line, name="internal.member_3", args=(left, value, self._compare())))

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
            if value == math.inf or re.match(r"0\d", token.text):
                raise self._bad("a number as in JSON, below 1.8e308, was expected")
            return Scalar(line=line, value=value)
        if token.kind == "string":
            self._at += 1
            return Scalar(line=line, value=self._text(token))
        if token.kind == "template":
            return self._template()
        if token.kind == "name":
            if token.text in LITERALS and not self._is_head():
                self._at += 1
                return Scalar(line=line, value=LITERALS[token.text])
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
            parts.append(self._open(self._template_part))

    def _template_part(self) -> Term:
        """A term, also one with `with`, which is the first of a comprehension."""
        offset, line = self._tokens[self._at - 1].offset, self._line
        term = self.term()
        withs = self._withs()
        if not withs:
            return term
        name = Var(line=line, name=f"_{offset}")
        body = (Expr(line=line, kind="assign", left=name, right=term, withs=withs),)
        values = Comprehension(line=line, kind="array", value=name, body=body)
        return Ref(line=line, head=values, parts=(Scalar(line=line, value=0),))

    def _withs(self) -> tuple[With, ...]:
        found: list[With] = []
        while self._is("with"):
            begin = self._line
            self._at += 1
            target = self._reference()
            self._want("as")
            found.append(With(line=begin, target=target, value=self.term()))
        return tuple(found)

    def _reference(self) -> Term:
        return self._suffixed(Var(line=self._line, name=self._name()))


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
