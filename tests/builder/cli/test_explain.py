from __future__ import annotations

import pytest

from builder.cli.explain import found
from builder.trace.step import Step
from cache.errors import Fault

STEPS = [
    Step(name=name)
    for name in ("[build 1/3] COPY a /", "[build 2/3] RUN make", "[build 3/3] RUN make install", "[last 2/2] COPY b /")
]


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("1", 0),
        ("3", 2),
        ("build 2/3", 1),
        ("2/2", 3),
        ("[build 3/3]", 2),
        ("RUN make", 1),  # exactly this one, though another begins so
        ("RUN make i", 2),
        ("COPY b", 3),
    ],
)
def test_the_step_that_is_meant(what: str, number: int) -> None:
    assert found(STEPS, what) is STEPS[number]


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("2", "say which one: build 2/3, last 2/2"),
        ("RUN", "say which one: build 2/3, build 3/3"),
        ("7", "it has build 1/3, build 2/3, build 3/3, last 2/2; `lapstrake explain` lists them"),
        ("run", "it has build 1/3"),
    ],
)
def test_a_step_that_is_not_one(what: str, hint: str) -> None:
    with pytest.raises(Fault) as caught:
        found(STEPS, what)
    assert caught.value.hint.startswith(hint)
