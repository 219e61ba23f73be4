"""The steps of a build as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


@pytest.fixture
def context(tmp_path: Path) -> Path:
    text = "FROM base\nCOPY src /src\nRUN rm /src/a && mkdir /d && echo x > /d/x\nENV A=1\n"
    return folder(tmp_path / "context", {"Dockerfile": text, "src/a": "a\n", "src/b": "b\n"})


def rows(text: str) -> list[list[str]]:
    """The cells of the table in what was printed, without its heading."""
    lines = text[text.index("STEP  ") :].splitlines()
    starts = [lines[0].index(word) for word in ("STEP", "CACHE", "TIME", "SIZE", "FILES")]
    ends = [*starts[1:], None]
    return [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines[1:]]


def test_the_table_and_the_metadata_say_the_same(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    words = ("--summary", "--metadata-file", str(tmp_path / "meta"))
    lapstrake.built(context, *words)
    folder(context, {"src/a": "new"})
    table = rows(lapstrake.built(context, *words).err)
    steps = json.loads((tmp_path / "meta").read_text())["lapstrake.steps"]
    assert [(row[0], row[1], row[4]) for row in table] == [
        ("[2/3] COPY src /src", "src/a changed (content)", "2"),
        ("[3/3] RUN rm /src/a && mkdir /d && echo x > /d/x", "because [2/3] COPY src /src changed", "2"),
    ]
    assert [(s["name"], s["why"], s["files"], s["line"], s["state"]) for s in steps] == [
        (row[0], row[1], int(row[4]), line, "done") for row, line in zip(table, (2, 3), strict=True)
    ]
    blobs = lapstrake.store / "blobs" / "sha256"
    assert [(blobs / step["layer"].removeprefix("sha256:")).stat().st_size for step in steps] == [
        s["size"] for s in steps
    ]
    assert all(step["seconds"] >= 0 for step in steps)


def test_cached_steps_keep_their_facts(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    words = ("--metadata-file", str(tmp_path / "meta"))
    lapstrake.built(context, *words)
    first = json.loads((tmp_path / "meta").read_text())["lapstrake.steps"]
    assert [row[1] for row in rows(lapstrake.built(context, "-q", "--summary", *words).err)] == ["CACHED", "CACHED"]
    again = json.loads((tmp_path / "meta").read_text())["lapstrake.steps"]
    assert [{**step, "state": "cached", "seconds": 0.0, "why": None} for step in first] == [
        {**step, "why": None} for step in again
    ]


def test_a_failed_build_has_one_too(lapstrake: Lapstrake, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM base\nRUN exit 3\nRUN true\n")
    table = rows(lapstrake.refused(context, "--summary").err.partition("\nDockerfile:")[0])
    assert [row[:2] for row in table] == [["[2/3] RUN exit 3", "FAILED: no earlier build of Dockerfile"]]


def test_rawjson_stays_json(lapstrake: Lapstrake, context: Path) -> None:
    lines = [json.loads(line) for line in lapstrake.built(context, "--summary", "--progress=rawjson").err.splitlines()]
    assert lines
    assert all(isinstance(line, dict) for line in lines)


def test_nothing_to_list(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "empty", {"Dockerfile": "FROM scratch\nENV A=1\n"})
    done = lapstrake.built(context, "--summary", "--metadata-file", str(tmp_path / "meta"))
    assert "STEP" not in done.err
    assert json.loads((tmp_path / "meta").read_text())["lapstrake.steps"] == []
