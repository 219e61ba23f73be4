"""Applying a parsed template to a value, by the rules of Go's text/template/exec.go, with bounds on work and output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from builder.errors import TemplateFault
from builder.template.functions import FUNCTIONS, LARGEST, Failed, Signature, truth
from builder.template.nodes import (
    Branch,
    Constant,
    Dot,
    Field,
    Function,
    Nested,
    Node,
    Operand,
    Output,
    Pipe,
    Text,
    Variable,
)
from builder.template.printing import show
from builder.template.record import Record, kind

_STEPS = 1_000_000  # nodes and loop rounds
_ABSENT = object()  # no value is piped in


class _Left(Exception):
    """break or continue."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.again = again


class Template:
    """text: as given. nodes: what `parse` made of it."""

    def __init__(self, text: str, nodes: tuple[Node, ...]) -> None:
        self._text = text
        self._nodes = nodes

    def render(self, data: Any, functions: Mapping[str, Signature] = FUNCTIONS, *, strict: bool = False) -> str:
        """strict: a name that a map does not have is an error (missingkey=error). Raises TemplateFault."""
        run = _Run(self._text, functions, strict)
        try:
            run.walk(data, self._nodes, [("", data)])
        except RecursionError:
            raise TemplateFault("template parsing error: template: exceeded maximum template depth") from None
        return "".join(run.out)


class _Run:
    """One rendering. Variables are a list of name and value, the innermost last, as in Go."""

    def __init__(self, text: str, functions: Mapping[str, Signature], strict: bool) -> None:
        self.out: list[str] = []
        self._text, self._functions, self._strict = text, functions, strict
        self._steps = self._size = 0

    def walk(self, dot: Any, nodes: tuple[Node, ...], variables: list[tuple[str, Any]]) -> None:
        for node in nodes:
            self._count()
            if isinstance(node, Text):
                self._write(node.text)
            elif isinstance(node, Output):
                value = self._pipe(dot, node.pipe, variables)
                if not node.pipe.names:
                    self._write(show(value))
            elif isinstance(node, Branch):
                self._branch(dot, node, variables)
            else:
                raise _Left(node.again)

    def _branch(self, dot: Any, node: Branch, variables: list[tuple[str, Any]]) -> None:
        mark = len(variables)
        value = self._pipe(dot, node.pipe, variables)
        if node.kind == "range":
            self._range(dot, node, value, variables)
        elif truth(value):
            self.walk(value if node.kind == "with" else dot, node.body, variables)
        else:
            self.walk(dot, node.other, variables)
        del variables[mark:]

    def _range(self, dot: Any, node: Branch, value: Any, variables: list[tuple[str, Any]]) -> None:
        mark, names, rounds = len(variables), node.pipe.names, 0
        for key, one in self._rounds(value, node.pipe):
            rounds += 1
            self._count()
            if node.pipe.declares:
                pairs = list(zip(names, (one,) if len(names) == 1 else (key, one), strict=True))
                variables[mark - len(names) :] = pairs
            elif names:
                self._assign(variables, names[0], one)
            try:
                self.walk(one, node.body, variables)
            except _Left as left:
                if not left.again:
                    break
            finally:
                del variables[mark:]
        if not rounds:
            self.walk(dot, node.other, variables)

    def _rounds(self, value: Any, pipe: Pipe) -> Iterator[tuple[Any, Any]]:
        if value is None:
            return
        if isinstance(value, dict) and not isinstance(value, Record):
            yield from ((key, value[key]) for key in sorted(value))
        elif isinstance(value, list | tuple):
            yield from enumerate(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield from ((n, n) for n in range(value))
        else:
            raise self._fault(pipe.commands[-1][0], f"range can't iterate over {show(value)}")

    def _pipe(self, dot: Any, pipe: Pipe, variables: list[tuple[str, Any]]) -> Any:
        value: Any = _ABSENT
        for command in pipe.commands:
            value = self._command(dot, command, value, variables)
        if pipe.declares:
            variables.extend((name, value) for name in pipe.names)
        elif pipe.names:
            self._assign(variables, pipe.names[0], value)
        return value

    def _assign(self, variables: list[tuple[str, Any]], name: str, value: Any) -> None:
        for place in range(len(variables) - 1, -1, -1):
            if variables[place][0] == name:
                variables[place] = (name, value)
                return

    def _command(self, dot: Any, command: tuple[Operand, ...], final: Any, variables: list[tuple[str, Any]]) -> Any:
        self._count()
        first, rest = command[0], command[1:]
        if isinstance(first, Function):
            return self._function(dot, first, rest, final, variables)
        given = [*(self._operand(dot, one, variables) for one in rest), *([] if final is _ABSENT else [final])]
        if isinstance(first, Constant) and first.value is None:
            raise self._fault(first, "nil is not a command")
        if isinstance(first, Constant | Dot) or (isinstance(first, Nested | Variable) and not first.names):
            if given:
                raise self._fault(first, f"can't give argument to non-function {first.source}")
            return self._operand(dot, first, variables)
        return self._operand(dot, first, variables, given)

    def _operand(
        self, dot: Any, operand: Operand, variables: list[tuple[str, Any]], given: list[Any] | None = None
    ) -> Any:
        if isinstance(operand, Constant):
            return operand.value
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Field):
            return self._chain(dot, operand, given or [])
        if isinstance(operand, Variable):
            value = next(value for name, value in reversed(variables) if name == operand.name)
            return self._chain(value, operand, given or [])
        if isinstance(operand, Nested):
            return self._chain(self._pipe(dot, operand.pipe, list(variables)), operand, given or [])
        return self._function(dot, operand, (), _ABSENT, variables)

    def _chain(self, value: Any, operand: Field | Variable | Nested, given: list[Any]) -> Any:
        for number, name in enumerate(operand.names):
            last = number == len(operand.names) - 1
            value = self._field(value, name, operand, given if last else [])
        return value

    def _field(self, value: Any, name: str, operand: Operand, given: list[Any]) -> Any:
        if isinstance(value, Record) and name in value.methods:
            return self._call(name, Signature(value.methods[name], ("string",)), given, operand)
        if isinstance(value, Record) and name not in value and not value.lenient:
            raise self._fault(operand, f"can't evaluate field {name} in type {value.kind}")
        if isinstance(value, dict):
            if given:
                raise self._fault(operand, f"{name} is not a method but has arguments")
            if name not in value and self._strict:
                raise self._fault(operand, f'map has no entry for key "{name}"')
            return value.get(name)
        if value is None:
            if self._strict:
                raise self._fault(operand, f'nil data; no entry for key "{name}"')
            return None
        raise self._fault(operand, f"can't evaluate field {name} in type {kind(value)}")

    def _function(
        self, dot: Any, function: Function, rest: tuple[Operand, ...], final: Any, variables: list[tuple[str, Any]]
    ) -> Any:
        if function.name in ("and", "or"):
            return self._choose(dot, function, rest, final, variables)
        given = [*(self._operand(dot, one, variables) for one in rest), *([] if final is _ABSENT else [final])]
        return self._call(function.name, self._functions[function.name], given, function)

    def _choose(
        self, dot: Any, function: Function, rest: tuple[Operand, ...], final: Any, variables: list[tuple[str, Any]]
    ) -> Any:
        """The first argument that decides; those after it are not looked at."""
        if not rest and final is _ABSENT:
            raise self._fault(function, f"wrong number of args for {function.name}: want at least 1 got 0")
        value: Any = None
        for one in rest:
            value = self._operand(dot, one, variables)
            if truth(value) == (function.name == "or"):
                return value
        return value if final is _ABSENT else final

    def _call(self, name: str, signature: Signature, given: list[Any], at: Operand) -> Any:
        wants, count = len(signature.takes), len(given)
        if count < wants or (count > wants and not signature.rest):
            least = "at least " if signature.rest else ""
            raise self._fault(at, f"wrong number of args for {name}: want {least}{wants} got {count}")
        for want, value in zip(signature.takes, given, strict=False):
            if want == "int" and isinstance(value, int) and not isinstance(value, bool):
                continue
            if want == "any" or (want == "string" and isinstance(value, str)):
                continue
            if value is None:
                raise self._fault(at, f"invalid value; expected {want}")
            raise self._fault(at, f"wrong type for value; expected {want}; got {kind(value)}")
        try:
            result = signature.call(*given)
        except Failed as error:
            raise self._fault(at, f"error calling {name}: {error}") from None
        if isinstance(result, str):
            self._bound(len(result), at)
        return result

    def _write(self, text: str) -> None:
        self._size += len(text)
        self._bound(self._size, None)
        self.out.append(text)

    def _bound(self, size: int, at: Operand | None) -> None:
        if size > LARGEST:
            raise self._fault(at, f"its output is longer than {LARGEST} characters")

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _STEPS:
            raise self._fault(None, f"it takes more than {_STEPS} steps")

    def _fault(self, at: Operand | None, what: str) -> TemplateFault:
        if at is None:
            return TemplateFault(f"template parsing error: template: {what}")
        line = self._text.count("\n", 0, at.pos) + 1
        column = at.pos - self._text.rfind("\n", 0, at.pos) - 1
        place = f':{line}:{column}: executing "" at <{at.source}>'
        return TemplateFault(f"template parsing error: template: {place}: {what}")
