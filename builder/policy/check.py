"""What OPA's compiler refuses and our engine would take for undefined, so that `not …` would let it through: functions
that there are not, and variables that nothing gives a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.errors import PolicyFault
from builder.policy.module import KEYWORDS, Call, Module, rule_name
from builder.policy.names import BUILTINS, FUNCTIONS
from builder.policy.tokens import Token

_ROOTS = frozenset(("input", "data", "_"))


def check(modules: Iterable[Module], helpers: Module) -> None:
    """Raises PolicyFault, with file and line. helpers: the module that all find in its package."""
    everything = (*modules, helpers)
    rules: dict[tuple[str, ...], frozenset[str]] = {}
    for module in everything:
        rules[module.package] = rules.get(module.package, frozenset()) | module.names
    for module in everything:
        for call in module.calls():
            if not _known(call, module, rules):
                raise _fault(module, call.line, "rego_type_error", f"undefined function {call.name}")
        for rule in module.rules:
            _bound(rule, module, rules[module.package])


def _known(call: Call, module: Module, rules: Mapping[tuple[str, ...], frozenset[str]]) -> bool:
    parts = call.name.split(".")
    for one in module.imports:
        if one.alias == parts[0]:
            parts = [*one.path, *parts[1:]]
            break
    else:
        if len(parts) == 1 and parts[0] in rules[module.package]:
            return True
    if parts[0] == "data":
        return any(
            parts[-1 - depth] in rules.get(tuple(parts[1 : -1 - depth]), ()) for depth in range(min(len(parts) - 1, 2))
        )
    return call.name in BUILTINS or call.name in FUNCTIONS


def _bound(rule: tuple[Token, ...], module: Module, names: frozenset[str]) -> None:
    """Each variable of a rule stands somewhere in it where it gets a value."""
    known = names | _ROOTS | {one.alias for one in module.imports} | _declared(rule)
    head = 1 if rule[0].text == "default" else 0
    for number, token in enumerate(rule):
        if token.kind != "name" or token.text in known or token.text in KEYWORDS or number == head:
            continue
        if number and (rule[number - 1].kind, rule[number - 1].text) in (("mark", "."), ("name", "with")):
            continue
        if number + 1 < len(rule) and rule[number + 1].text == "(" and rule[number + 1].joined:
            continue
        if _is_function(rule, number):
            continue
        raise _fault(module, token.line, "rego_unsafe_var_error", f"var {token.text} is unsafe")


def _is_function(rule: tuple[Token, ...], number: int) -> bool:
    """Whether this is the `a` of `a.b.c(`."""
    at = number + 1
    while at + 1 < len(rule) and rule[at].text == "." and rule[at + 1].kind == "name":
        at += 2
    return at > number + 1 and at < len(rule) and rule[at].text == "(" and rule[at].joined


def _declared(rule: tuple[Token, ...]) -> frozenset[str]:
    found: set[str] = set()
    pairs = _brackets(rule)
    for number, token in enumerate(rule):
        before = rule[number - 1].text if number and rule[number - 1].kind == "mark" else ""
        after = rule[number + 1].text if number + 1 < len(rule) and rule[number + 1].kind == "mark" else ""
        if token.kind == "name":
            if after in (":=", "=") or before == "=":
                found.add(token.text)
            if token.text in ("some", "every"):
                found |= _after_some(rule, number + 1)
        elif token.kind == "mark" and number in pairs:
            inside = {t.text for t in rule[number + 1 : pairs[number]] if t.kind == "name"}
            end = pairs[number] + 1
            assigned = end < len(rule) and rule[end].kind == "mark" and rule[end].text in (":=", "=")
            index = token.text == "[" and token.joined and number > 0
            if assigned or index or before == "=" or (token.text == "(" and _is_head(rule, number)):
                found |= inside
    return frozenset(found)


def _is_head(rule: tuple[Token, ...], number: int) -> bool:
    """Whether a bracket holds the arguments that the rule is declared with, or those of one of its `else`."""
    return number == (2 if rule[0].text == "default" else 1) and rule_name(rule) != ""


def _after_some(rule: tuple[Token, ...], at: int) -> set[str]:
    """Variables of `some x, [y, z] in …`, `some i; …`, `every k, v in …`."""
    found: set[str] = set()
    depth, line = 0, rule[at].line if at < len(rule) else 0
    for token in rule[at:]:
        if not depth and (token.text in ("in", ";", "}", "|", ")") or (token.line > line and token.text != ",")):
            break
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if token.kind == "name":
            found.add(token.text)
        line = token.line
    return found


def _brackets(rule: tuple[Token, ...]) -> dict[int, int]:
    pairs: dict[int, int] = {}
    stack: list[int] = []
    for number, token in enumerate(rule):
        if token.kind != "mark":
            continue
        if token.text in ("(", "[", "{"):
            stack.append(number)
        elif token.text in (")", "]", "}") and stack:
            pairs[stack.pop()] = number
    return pairs


def _fault(module: Module, line: int, code: str, problem: str) -> PolicyFault:
    return PolicyFault(f"failed to evaluate policy: {module.name}:{line}: {code}: {problem}")
