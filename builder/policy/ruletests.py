"""Tests of a policy: rules of *_test.rego that are called test_… (buildx's policy/tester.go)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from builder.errors import PolicyFault
from builder.policy.engine import Engine
from builder.policy.files import PolicyFiles
from builder.policy.input import Env, Input
from builder.policy.module import Module, rule_name
from builder.policy.needs import field_need
from builder.policy.regopolicy import RegoPolicy
from builder.policy.tokens import Token

_PREFIX = "test_"


class RuleTest(msgspec.Struct, frozen=True):
    """package: dotted, with `data`. given: the text of the input that the rule evaluates with, "" if it has none."""

    name: str
    package: str
    given: str


class Verdict(msgspec.Struct, frozen=True):
    """given, decision: as plain values, None if there is none. missing: fields that the policy names and it lacks."""

    name: str
    passed: bool
    given: dict[str, Any] | None
    decision: dict[str, Any] | None
    missing: tuple[str, ...]

    @property
    def allow(self) -> bool | None:
        return self.decision.get("allow") if self.decision is not None else None

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(self.decision.get("deny_msg", ())) if self.decision is not None else ()

    @property
    def resolvable(self) -> tuple[str, ...]:
        """Kinds of source whose metadata would have all that is missing."""
        if not all(field_need(field) for field in self.missing):
            return ()
        return tuple(sorted({field.partition(".")[0] for field in self.missing} & {"image", "git"}))


def rule_tests(modules: Sequence[Module]) -> tuple[RuleTest, ...]:
    """By name. Raises PolicyFault where one has two inputs."""
    found: dict[str, RuleTest] = {}
    for module in modules:
        for rule in _tests(module):
            name = rule_name(rule)
            texts = {module.text[begin:end] for begin, end in _inputs(rule)}
            texts |= {found[name].given} if name in found and found[name].given else set()
            if len(texts) > 1:
                raise PolicyFault(f"{module.name}:{rule[0].line}: multiple input overrides for {name}")
            found[name] = RuleTest(name, ".".join(("data", *module.package)), next(iter(texts), ""))
    return tuple(found[name] for name in sorted(found))


def _tests(module: Module) -> Iterator[tuple[Token, ...]]:
    for rule in module.rules:
        argued = len(rule) > 1 and rule[1].kind == "mark" and rule[1].text in ("(", "[", ".")
        if rule_name(rule).startswith(_PREFIX) and rule[0].text != "default" and not argued:
            yield rule


def _inputs(rule: tuple[Token, ...]) -> Iterator[tuple[int, int]]:
    """Where the object of each `with input as {…}` begins and ends."""
    for number in range(len(rule) - 3):
        if [token.text for token in rule[number : number + 4]] != ["with", "input", "as", "{"]:
            continue
        depth = 0
        for token in rule[number + 3 :]:
            depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "mark" else 0
            if not depth:
                yield rule[number + 3].offset, token.offset + 1
                break


class RuleTester:
    """modules: of both. refs: fields that the policy's own modules name, `image.repo`, by their package."""

    def __init__(self, modules: tuple[Module, ...], own: Sequence[Module], engine: Engine, files: PolicyFiles) -> None:
        self._rego = RegoPolicy(modules, Env(depth=0), engine, files, lambda level, text: None)
        self._own = own

    def run(self, test: RuleTest) -> Verdict:
        """Raises PolicyFault where it cannot be evaluated; a rule that is undefined or not true fails."""
        raw = self._rego.evaluate(None, test.given)[0].value if test.given else None
        given = _decoded(test.name, raw) if test.given else None
        outcome, _ = self._rego.evaluate(raw, f"{test.package}.{test.name}")
        decision = self._decision(test.package, given)
        refs = {
            ref for module in self._own if ".".join(("data", *module.package)) == test.package for ref in _refs(module)
        }
        missing = tuple(sorted(ref for ref in refs if not _has(given, ref)))
        return Verdict(test.name, outcome.value is True, given, decision, missing)

    def _decision(self, package: str, given: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            value = self._rego.evaluate(given, f"{package}.decision")[0].value
        except PolicyFault:
            return None
        if not isinstance(value, dict):
            return None
        found: dict[str, Any] = {}
        if isinstance(value.get("allow"), bool):
            found["allow"] = value["allow"]
        messages = value.get("deny_msg")
        words = [messages] if isinstance(messages, str) else messages if isinstance(messages, list) else []
        if any(isinstance(word, str) for word in words):
            found["deny_msg"] = [word for word in words if isinstance(word, str)]
        caps = value.get("caps")
        if isinstance(caps, dict) and any(isinstance(on, bool) for on in caps.values()):
            found["caps"] = {name: on for name, on in caps.items() if isinstance(on, bool)}
        return found


def _decoded(test: str, value: object) -> dict[str, Any]:
    """An input, as far as it has the fields of one."""
    try:
        found = msgspec.convert(value, Input)
    except msgspec.ValidationError as error:
        raise PolicyFault(f"failed to decode test input for {test}: {error}") from None
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


def _refs(module: Module) -> Iterator[str]:
    """`image`, `image.repo`: what follows `input`, two parts of it at most."""
    tokens = module.tokens
    for number, token in enumerate(tokens):
        if token.kind != "name" or token.text != "input" or (number and tokens[number - 1].text in (".", "with")):
            continue
        parts: list[str] = []
        at = number + 1
        while at + 1 < len(tokens) and len(parts) < 2:
            if tokens[at].text == "." and tokens[at + 1].kind == "name":
                parts.append(tokens[at + 1].text)
                at += 2
            elif tokens[at].text == "[" and tokens[at].joined and tokens[at + 1].kind == "string":
                parts.append(tokens[at + 1].text)
                at += 3
            else:
                break
        if parts:
            yield ".".join(parts)


def _has(given: dict[str, Any] | None, ref: str) -> bool:
    value: Any = given
    for part in ref.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True
