"""docs/conformance.md names exactly the cases that are compared with the newer engine, golden ones by their section.

What it says of registries has a test that is there.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.test_engine import REFUSED, SAME
from tests.golden.case import names, read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"


def test_every_case_is_named_and_every_named_case_exists() -> None:
    table = PAGE.read_text().partition("## Golden cases")[0]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")]
    named = {name for cell in cells for name in re.findall("`([^`]*)`", cell)} - {"test_engine.py"}
    assert named == {*SAME, *REFUSED}


def test_every_golden_case_has_its_section_named_and_every_named_section_a_case() -> None:
    table = PAGE.read_text().partition("## Golden cases")[2].partition("## Where we differ")[0]
    assert sorted(re.findall(r"^\| `([^`]*)-\*`", table, re.MULTILINE)) == sorted(
        {n.partition("-")[0] for n in names()}
    )


def test_golden_cases_that_differ_from_the_engine_say_why() -> None:
    for name in names():
        kind, _, reason = read(name).engine.partition(": ")
        assert kind == "same" or (kind in ("newer", "differs") and reason), name


def test_the_tests_that_hold_against_threats_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text().partition("## Threats")[2])
    assert len(named) > 40
    missing = [
        f"{file}::{name}"
        for file, name in named
        if f"def {name}(" not in (PAGE.parents[1] / "tests" / file).read_text()
    ]
    assert missing == []


def test_every_behaviour_of_a_registry_client_has_a_test() -> None:
    table = PAGE.read_text().partition("\n## Registries\n")[2].partition("\n## ")[0]
    rows = [row.split(" | ")[2] for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        tests = re.findall("`([^`]*)::([^`]*)`", row)
        assert tests, row
        for path, name in tests:
            assert f"def {name}(" in (PAGE.parents[1] / "tests" / path).read_text(), (path, name)


def test_what_stands_for_the_tests_of_buildkit_is_there() -> None:
    page = (PAGE.parent / "buildkit-tests.md").read_text()
    tests = PAGE.parents[1] / "tests"
    files = re.findall(r"`([\w/]+/test_\w+\.py)`", page)
    cases = re.findall(r"`(\d[\d.]*-[a-z*-]+)`", page)
    assert len(files) > 50
    assert len(cases) > 30
    assert [name for name in files if not (tests / name).exists()] == []
    assert [name for name in cases if not list((tests / "golden").glob(name))] == []
