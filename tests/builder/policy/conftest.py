"""A policy in a word: its modules, its files, and what an engine says of an input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from builder.policy.engine import Engine
from builder.policy.input import Env
from builder.policy.loaded import loaded
from builder.policy.regopolicy import RegoPolicy

NOTHING = Env(depth=0)


class Files(dict[str, bytes]):
    """What a policy can read."""

    def read(self, name: str, limit: int) -> bytes | None:
        found = self.get(name)
        return found[:limit] if found is not None else None


class Asked:
    """said: lines of the log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.said: list[str] = []

    def policy(self, text: str, files: dict[str, str] | None = None, env: Env = NOTHING) -> RegoPolicy:
        held = Files({name: value.encode() for name, value in (files or {}).items()})
        policy = loaded([("p.rego", text.encode())], held)
        return RegoPolicy(policy, env, self._engine, held, lambda level, line: self.said.append(line))

    def value(
        self, text: str, given: dict[str, Any] | None = None, query: str = "data.docker.decision", **more: Any
    ) -> Any:
        outcome, _ = self.policy(text, **more).evaluate(given or {}, query)
        assert outcome.defined, "undefined"
        return outcome.value


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    made = Engine(10)
    yield made
    made.close()


@pytest.fixture
def asked(engine: Engine) -> Asked:
    return Asked(engine)
