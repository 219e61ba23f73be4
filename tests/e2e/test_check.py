"""--check: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

TEXT = "FROM base\nRUN echo never\nCMD echo hi\nMAINTAINER me\n"


def test_findings(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": TEXT})
    done = lapstrake.build(context, "--check")
    assert done.status == 1
    assert done.out.startswith("Check complete, 2 warnings have been found!\n\nWARNING: JSONArgsRecommended - https://")
    assert "Dockerfile:3\n--------------------\n" in done.out
    assert "   3 | >>> CMD echo hi\n" in done.out
    assert "RUN echo never" not in done.err
    assert lapstrake.run("images", "-q").out == ""


def test_json(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": TEXT})
    done = lapstrake.build(context, "--call=check,format=json")
    assert done.status == 1
    found = json.loads(done.out)
    assert [w["ruleName"] for w in found["warnings"]] == ["JSONArgsRecommended", "MaintainerDeprecated"]
    assert found["warnings"][0]["location"]["ranges"] == [{"start": {"line": 3}, "end": {"line": 3}}]
    assert found["sources"][0]["filename"] == "Dockerfile"


def test_nothing_to_say(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": 'FROM base\nCMD ["x"]\n'})
    done = lapstrake.build(context, "--check")
    assert (done.status, done.out) == (0, "Check complete, no warnings found.\n")
    broken = folder(tmp_path / "broken", {"Dockerfile": "FORM base\n"})
    assert "unknown instruction: FORM" in lapstrake.refused(broken, "--check").err
    assert lapstrake.build(context, "--call=sing").status == 1


def test_a_build_says_it_at_the_end(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": TEXT})
    err = lapstrake.built(context).err
    assert err.index("exporting to image") < err.index("JSONArgsRecommended: ")
    assert "(line 3)" in err
