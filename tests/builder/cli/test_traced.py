from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from builder.cli.reporter import Reporter
from builder.cli.traced import Traced
from builder.errors import SourceFault
from builder.graph.event import Warned


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SourceFault("no such tree"), "no such tree"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (KeyError("x"), "internal error, please report this: KeyError: 'x'"),
    ],
)
def test_no_build_fails_for_want_of_words(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    """It is said, and said once."""
    told: list[Any] = []
    nothing: Any = None
    traced = Traced(nothing, nothing, nothing, nothing, (), frozenset(), lambda name: "", Reporter(told.append))

    def fails(self: Traced) -> Any:
        raise error

    monkeypatch.setattr(Traced, "_begun", fails)
    task: Any = SimpleNamespace(digest=None)
    assert traced.why(task) == traced.why(task) == ""
    (warned,) = told
    assert isinstance(warned, Warned)
    assert warned.message == f"why a step ran could not be told: {words}"
