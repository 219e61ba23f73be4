"""`lapstrake explain` and `lapstrake context ls`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

DOCKERFILE = """\
FROM base AS build
ARG VERSION=1
ARG API_TOKEN
COPY --exclude=*.md src /src
RUN --mount=type=bind,source=tools,target=/t echo $VERSION > /v
FROM base
COPY --from=build /src /out
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    files = {
        "Dockerfile": DOCKERFILE,
        "src/a": "a",
        "src/b.md": "b",
        "src/c.log": "",
        "src/keep.log": "",
        "tools/t": "t",
    }
    return folder(tmp_path / "context", {**files, ".dockerignore": "# logs\n**/*.log\n!src/keep.log\n"})


def test_all_steps_in_short(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    folder(context, {"tools/t": "T"})
    lapstrake.built(context)
    lines = lapstrake.run("explain").out.splitlines()
    assert lines[0].startswith(f"Dockerfile of {context}, linux/")
    assert [line.split("  ")[0] for line in lines[3:]] == [
        "[build 2/3] COPY --exclude=*.md src /src",
        "[build 3/3] RUN --mount=type=bind,source=tools,target=/t ec…",
        "[stage-1 2/2] COPY --from=build /src /out",
    ]
    assert "tools/t changed (content)" in lines[4]
    assert "CACHED" in lines[3]
    lapstrake.built(context)
    rows = [json.loads(line) for line in lapstrake.run("explain", "--format", "json").out.splitlines()]
    assert [row["state"] for row in rows] == ["cached"] * 3


def test_one_step_field_by_field(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context, "--build-arg", "API_TOKEN=hunter2hunter2")
    first = lapstrake.run("explain", "build 3/3")
    assert first.status == 0
    assert "before: no other build of it is known" in first.out
    folder(context, {"tools/t": "T"})
    lapstrake.built(context, "--build-arg", "VERSION=2", "--build-arg", "API_TOKEN=swordfish99")
    done = lapstrake.run("explain", "RUN")
    lines = done.out.splitlines()
    assert lines[0] == "[build 3/3] RUN --mount=type=bind,source=tools,target=/t echo 2 > /v"
    assert "line:   5 of Dockerfile" in lines
    assert "cache:  tools/t changed (content)" in lines
    assert lines.index("- env VERSION: 1") + 1 == lines.index("+ env VERSION: 2")
    assert {"- env API_TOKEN: ***", "+ env API_TOKEN: ***", "  cwd: /", "  tools/t changed (content)"} <= set(lines)
    found = json.loads(lapstrake.run("explain", "RUN", "--format", "json").out)
    assert set(found["differences"]) == {"env API_TOKEN", "env VERSION", "contents 1"}
    assert (found["before"]["env VERSION"], found["fields"]["env VERSION"]) == ("1", "2")
    assert found["files"] == [{"path": "tools/t", "change": "changed (content)"}]
    for text in (done.out, json.dumps(found), first.out):
        assert "hunter2" not in text
        assert "swordfish" not in text


@pytest.mark.parametrize(
    ("what", "error", "hint"),
    [
        ("2", "'2' may be 2 steps of the last build", "build 2/3, stage-1 2/2"),
        ("COPY", "'COPY' may be 2 steps", "build 2/3, stage-1 2/2"),
        ("9", "no step of the last build is '9'", "build 2/3, build 3/3, stage-1 2/2"),
        ("\x1b[31mx", "no step of the last build is '\\x1b[31mx'", "lapstrake explain"),
    ],
)
def test_steps_that_are_not_one(lapstrake: Lapstrake, context: Path, what: str, error: str, hint: str) -> None:
    lapstrake.built(context)
    done = lapstrake.run("explain", what)
    assert done.status == 1
    assert error in done.err
    assert hint in done.err
    assert "\x1b" not in done.err


def test_nothing_was_built(lapstrake: Lapstrake, tmp_path: Path) -> None:
    for words in ((), ("1",), ("--file", "x"), ("--context", str(tmp_path))):
        done = lapstrake.run("explain", *words)
        assert done.status == 1
        assert "no build" in done.err
        assert "hint: build it first" in done.err


@pytest.mark.parametrize(
    ("path", "verdict", "steps"),
    [
        ("src/a", "is in the context: no line of .dockerignore matches it", ["build 2/3"]),
        ("src/b.md", "is in the context: no line of .dockerignore matches it", []),
        ("src/c.log", "is not in the context: line 2 of .dockerignore (**/*.log)", []),
        ("src/keep.log", "is in the context: line 3 of .dockerignore (!src/keep.log)", ["build 2/3"]),
        ("tools/t", "is in the context: no line of .dockerignore matches it", ["build 3/3"]),
    ],
)
def test_what_a_file_is_used_for(
    lapstrake: Lapstrake, context: Path, path: str, verdict: str, steps: list[str]
) -> None:
    lapstrake.built(context)
    lines = lapstrake.run("explain", "--file", path, str(context)).out.splitlines()
    assert lines[0] == f"{path} {verdict}"
    assert [line.partition("]")[0].strip("[") for line in lines[1:] if line.startswith("[")] == steps
    assert ("no step of the last build takes it" in lines) == (not steps and "not in" not in verdict)
    found = json.loads(lapstrake.run("explain", "--file", str(context / path), "--format", "json").out)
    assert found["in_context"] == ("not in" not in verdict)
    assert [step["name"].partition("]")[0].strip("[") for step in found["steps"]] == steps


def test_files_that_are_not_there(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    for path in ("nothing", "../other", "/etc/passwd"):
        done = lapstrake.run("explain", "--file", path)
        assert done.status == 1
        assert f"ERROR: {path} is not in {context}" in done.err
        assert "Traceback" not in done.err
    assert "no build of" in lapstrake.run("explain", "--file", "src/a", str(context.parent)).err


def test_named_contexts_and_an_ignore_file_of_the_dockerfile(lapstrake: Lapstrake, tmp_path: Path) -> None:
    main = folder(
        tmp_path / "main", {"ci/D": "FROM base\nCOPY --from=more x /\nCOPY . /c\n", "a": "", ".dockerignore": "a"}
    )
    folder(main, {"ci/D.dockerignore": "b\n"})
    more = folder(tmp_path / "more", {"x": "", ".dockerignore": "y\n"})
    lapstrake.built(main, "-f", str(main / "ci" / "D"), "--build-context", f"more={more}")
    assert lapstrake.run("explain", "--file", "a").out.startswith("a is in the context: no line of D.dockerignore")
    lines = lapstrake.run("explain", "--file", str(more / "x")).out.splitlines()
    assert lines == [
        "x is in the context: no line of .dockerignore matches it",
        "[stage-0 2/3] COPY --from=more x /  by /x",
    ]


def test_what_a_context_holds(lapstrake: Lapstrake, tmp_path: Path) -> None:
    files = {"big": "x" * 12_000, "d/small": "abc", "no/x": "", ".dockerignore": "no\n", "odd\x1bname": "12"}
    context = folder(tmp_path / "context", files)
    folder(context, {"D.dockerignore": "big\n"})
    os.link(context / "big", context / "same")
    listed = lapstrake.run("context", "ls", str(context)).out.splitlines()
    assert listed == ["big", "same", "D.dockerignore", ".dockerignore", "d/small", "odd^[name", "d/"]
    sized = lapstrake.run("context", "ls", "--size", str(context)).out.splitlines()
    assert sized[1].split() == ["12kB", "big"]
    assert sized[-1] == "12kB in 6 files"
    assert "big" not in lapstrake.run("context", "ls", "-f", str(context / "D"), str(context)).out.split()
    rows = [json.loads(line) for line in lapstrake.run("context", "ls", "--format=json", cwd=context).out.splitlines()]
    assert rows[0] == {"Kind": "file", "Mode": "0644", "Path": "big", "Size": 12_000}
    assert lapstrake.run("context", "ls", "--format", "{{.Size}}", str(context)).out.splitlines()[0] == "12kB"
    missing = lapstrake.run("context", "ls", str(context / "missing"))
    assert missing.status == 1
    assert "not found" in missing.err
    assert not (lapstrake.store).exists()  # nothing is made for it
