"""docs/conformance.md names exactly the cases that are compared with the newer engine."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.test_engine import REFUSED, SAME

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"


def test_every_case_is_named_and_every_named_case_exists() -> None:
    table = PAGE.read_text().partition("## Where we differ")[0]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")]
    named = {name for cell in cells for name in re.findall("`([^`]*)`", cell)} - {"test_engine.py"}
    assert named == {*SAME, *REFUSED}
