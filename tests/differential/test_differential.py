"""A few known random builds give the same with the engine and with us; `python -m tests.differential` tries new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.case import Case, lay_out, text
from tests.differential.recipe import case
from tests.differential.session import pair
from tests.differential.shrink import shrunk
from tests.differential.verdict import differences
from tests.e2e.engine import Engine

SEEDS = range(8000, 8006)


@pytest.mark.e2e
@pytest.mark.oracle
@pytest.mark.root
def test_random_builds(buildkit: Engine, base: Path, tmp_path: Path) -> None:
    builders = pair(tmp_path, buildkit, base)
    found = {}
    for seed in SEEDS:
        made = case(seed)
        lines = differences(made, *builders.build(made))
        if lines:
            found[seed] = (text(made), lines)
    assert found == {}


def test_a_case_is_made_of_its_number_alone(tmp_path: Path) -> None:
    for seed in range(40):
        assert case(seed) == case(seed)
        lay_out(case(seed), tmp_path / str(seed), "u")
    assert len({text(case(seed)) for seed in range(40)}) == 40


def test_what_is_not_needed_is_left_out() -> None:
    made = Case(0, ["FROM base", "ENV a=b", "RUN x", "ENV c=d"], {"": []}, [["--a"], ["--b", "c"]])
    small = shrunk(made, lambda less: "RUN x" in less.lines and ["--b", "c"] in less.args)
    assert (small.lines, small.args) == (["RUN x"], [["--b", "c"]])
