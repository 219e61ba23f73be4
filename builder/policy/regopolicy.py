"""RegoPolicy: asks one policy about sources (buildx's policy/validate.go)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from builder.errors import PolicyFault
from builder.graph.gitref import redacted
from builder.policy.engine import Answers, Engine, Outcome
from builder.policy.files import PolicyFiles
from builder.policy.functions import Functions
from builder.policy.input import Env, Input
from builder.policy.log import DEBUG, INFO, Log
from builder.policy.module import Module
from builder.policy.needs import field_need, unresolved
from builder.policy.signatures.trustroot import TrustRoot
from builder.policy.subjects import Subject
from cache.digest import Digest

_ROUNDS = 10  # of one evaluation: an answer may lead to another call
_MOST_CALLS = 200
QUERY = "data.docker.decision"
CAPS = frozenset({"exec.proxy"})


class Decision(msgspec.Struct, frozen=True):
    """allow: None where the policy does not say. messages: why not. pins: what an image is to be. caps: see CAPS."""

    allow: bool | None = None
    messages: tuple[str, ...] = ()
    caps: frozenset[str] = frozenset()
    pins: frozenset[Digest] = frozenset()


class RegoPolicy:
    """env: of the build. trust: whom signatures of Sigstore are checked by."""

    def __init__(
        self,
        modules: tuple[Module, ...],
        env: Env,
        engine: Engine,
        files: PolicyFiles,
        log: Log,
        trust: Callable[[], TrustRoot] = TrustRoot,
    ) -> None:
        self._trust = trust
        self.modules = modules
        self._env, self._engine, self._files, self._log = env, engine, files, log

    def decide(self, subject: Subject) -> Decision:
        """Raises PolicyFault where the policy cannot be evaluated, and SourceFault where the source cannot be found."""
        self._log(INFO, f"checking policy for source {subject.shown}")
        known = frozenset[str]()
        for _ in range(_ROUNDS):
            found = subject.input(known)
            given = plain(msgspec.structs.replace(found, env=self._env))
            self._log(DEBUG, f"policy input: {json.dumps(_without_passwords(given), indent=2)}")
            outcome, pins = self.evaluate(given, QUERY, subject, _unknown(found, known))
            if not outcome.needs:
                return self._decided(outcome, pins, subject)
            wanted = frozenset(map(field_need, outcome.needs))
            if wanted <= known or "" in wanted:
                raise PolicyFault(f"{subject.shown}: {', '.join(outcome.needs)} cannot be found out")
            shown = f"resolve missing fields [{' '.join(outcome.needs)}]"
            self._log(INFO, f"policy decision for source {subject.shown}: {shown}")
            known |= wanted
        raise PolicyFault("maximum attempts reached for resolving policy metadata")

    def _decided(self, outcome: Outcome, pins: frozenset[Digest], subject: Subject) -> Decision:
        decision = _decision(outcome)
        self._log(DEBUG, f"policy response: {json.dumps(outcome.value)}")
        if len(pins) > 1:
            shown = " ".join(sorted(map(str, pins)))
            raise PolicyFault(f"multiple image pins set to {subject.shown}: {shown}")
        return msgspec.structs.replace(decision, pins=pins if decision.allow else frozenset())

    def caps(self) -> frozenset[str]:
        """What the build is to have. Raises PolicyFault."""
        given = plain(Input(env=msgspec.structs.replace(self._env, caps_request=True)))
        self._log(DEBUG, f"policy input: {json.dumps(_without_passwords(given), indent=2)}")
        outcome, _ = self.evaluate(given, QUERY)
        return _decision(outcome).caps

    def evaluate(
        self,
        given: dict[str, Any] | None,
        query: str,
        subject: Subject | None = None,
        unknown: Sequence[Sequence[str | int]] = (),
    ) -> tuple[Outcome, frozenset[Digest]]:
        """The value of a query, its calls answered, and what pin_image() was called with. Raises PolicyFault.

        given: the input, None for none. subject: what signatures are looked for of. unknown: paths of fields of the
        input; where the evaluation comes to one, the outcome only says what it needs.
        """
        answers: Answers = []
        functions = Functions(given or {}, self._files, self._log, subject, self._trust)
        for _ in range(_ROUNDS):
            outcome = self._engine.ask(self.modules, answers, given, unknown, query)
            new = [call for call in outcome.calls if not call.answered]
            if not new:
                for line in outcome.printed:
                    self._log(INFO, line)
                functions.pins.clear()  # those of calls that are not made any more do not count
                for call in outcome.calls:
                    if call.name == "pin_image":
                        functions.answer(call.name, call.arguments)
                return outcome, frozenset(functions.pins)
            answers += [(call.name, call.arguments, functions.answer(call.name, call.arguments)) for call in new]
            if len(answers) > _MOST_CALLS:
                raise PolicyFault(f"failed to evaluate policy: it makes more than {_MOST_CALLS} calls")
        raise PolicyFault("maximum attempts reached for resolving policy metadata")


def _unknown(found: Input, known: frozenset[str]) -> list[list[str | int]]:
    """Paths of the fields that are not known: of the source, and of the materials of an image, which stay so."""
    paths: list[list[str | int]] = [list(field.split(".")) for field in unresolved(found, known)]
    provenance = found.image.provenance if found.image is not None else None
    for number, material in enumerate(provenance.materials if provenance is not None else ()):
        for field in unresolved(material, frozenset()):
            paths.append(["image", "provenance", "materials", number, *field.split(".")])
    return paths


def plain(value: Input) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(value)
    return made


def _without_passwords(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_passwords(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_passwords(part) for part in value]
    return redacted(value) if isinstance(value, str) else value


def _decision(outcome: Outcome) -> Decision:
    if not outcome.defined:
        raise PolicyFault("policy returned zero result", "a policy has a rule `decision` in its package docker")
    value = outcome.value
    if not isinstance(value, dict):
        raise PolicyFault(f"unexpected policy return type: {json.dumps(value)[:200]}", "a decision is an object")
    allow, messages, caps = value.get("allow"), value.get("deny_msg"), value.get("caps", {})
    if "allow" in value and not isinstance(allow, bool):
        raise PolicyFault(f"invalid allowed property {json.dumps(allow)[:200]}, expecting bool")
    if not isinstance(caps, dict):
        raise PolicyFault(f"invalid caps property {json.dumps(caps)[:200]}, expecting object")
    for name, given in caps.items():
        if name not in CAPS:
            raise PolicyFault(f'unknown policy cap "{name}"', f"known: {', '.join(sorted(CAPS))}")
        if not isinstance(given, bool):
            raise PolicyFault(f"invalid caps.{name} property {json.dumps(given)[:200]}, expecting bool")
    words = tuple(m for m in messages if isinstance(m, str)) if isinstance(messages, list) else ()
    return Decision(allow, words, frozenset(name for name, given in caps.items() if given))
