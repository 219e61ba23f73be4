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
    assert lapstrake.build(context, "--call=sing").status == 1


def test_what_cannot_be_built(lapstrake: Lapstrake, tmp_path: Path) -> None:
    broken = folder(tmp_path / "broken", {"Dockerfile": "FORM base\n"})
    done = lapstrake.refused(broken, "--check")
    assert done.out == ""
    assert (
        "ERROR: dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)\nDockerfile:1"
        in done.err
    )
    done = lapstrake.refused(broken, "--call=check,format=json")
    assert json.loads(done.out)["warnings"] is None
    assert json.loads(done.out)["buildError"] == {
        "message": "dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)",
        "location": {"ranges": [{"start": {"line": 1}, "end": {"line": 1}}]},
    }
    strict = folder(tmp_path / "strict", {"Dockerfile": f"# check=error=true\n{TEXT}"})
    done = lapstrake.refused(strict, "--check")
    assert "Check complete, 2 warnings have been found!" in done.out
    assert "ERROR: lint violation found for rules: " in done.err


def test_outline_and_targets(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "# V is the version\nARG V=1\n# app is all of it\nFROM base AS app\nARG V\nRUN exit 3\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    done = lapstrake.built(context, "--call=outline", "--build-arg", "V=2")
    assert (
        done.out
        == "TARGET:      app\nDESCRIPTION: is all of it\n\nBUILD ARG   VALUE   DESCRIPTION\nV           2       \n\n"
    )
    assert "WARN" not in done.err
    assert lapstrake.built(context, "--call=targets").out == "TARGET        DESCRIPTION\napp (default) is all of it\n"


def test_an_outline_says_what_the_rules_found(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base AS A\nMAINTAINER x\nENV B=$C\n"})
    done = lapstrake.built(context, "--call=outline")
    assert done.out.startswith("TARGET:")
    for line in ("StageNameCasing: Stage name 'A'", "MaintainerDeprecated: ", "UndefinedVar: Usage of undefined"):
        assert f"WARN: {line}" in done.err
    assert " 3 warnings found (use --debug to expand):\n" in done.err
    assert "WARN" not in lapstrake.built(context, "--call=targets").err


def test_a_build_says_it_at_the_end(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": TEXT})
    err = lapstrake.built(context).err
    assert "\n#1 WARN: JSONArgsRecommended: " in err
    assert err.endswith(
        "\n 2 warnings found (use --debug to expand):\n"
        " - JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS"
        " signals (line 3)\n"
        " - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 4)\n"
    )
    err = lapstrake.built(context, "--debug").err
    assert " 2 warnings found:\n" in err
    assert "More info: https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/\nDockerfile:4\n" in err
    assert (
        "found"
        not in lapstrake.run("build", "-q", f"--build-context=base=docker-archive://{lapstrake.base}", str(context)).err
    )


def test_a_failed_build_says_it_above_the_lines(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nMAINTAINER me\nRUN echo why; exit 3\n"})
    err = lapstrake.refused(context).err
    places = [
        err.index(text)
        for text in ("\n------\n > ", " 1 warning found", "\nDockerfile:3\n", "\nERROR: failed to build: ")
    ]
    assert places == sorted(places)


def test_in_the_metadata(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": TEXT})
    file = tmp_path / "meta.json"
    lapstrake.build(context, "--metadata-file", str(file))
    assert "buildx.build.warnings" not in json.loads(file.read_text())
    lapstrake.build(context, "--metadata-file", str(file), env={"BUILDX_METADATA_WARNINGS": "1"})
    first = json.loads(file.read_text())["buildx.build.warnings"][0]
    assert first["range"] == [{"start": {"line": 3}, "end": {"line": 3}}]
    assert first["sourceInfo"]["filename"] == "Dockerfile"


def test_progress_and_quiet(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n"})
    assert (
        "progress=plain and quiet cannot be used together" in lapstrake.refused(context, "-q", "--progress=plain").err
    )
    base = f"--build-context=base=docker-archive://{lapstrake.base}"
    assert lapstrake.run("build", "--progress=none", base, str(context)).out == ""
    assert lapstrake.run("build", "--progress=quiet", base, str(context)).out.startswith("sha256:")
    assert "invalid progress mode loud" in lapstrake.run("build", "--progress=loud", base, str(context)).err


def test_a_text_that_was_parsed_before_needs_no_grammar(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n"})
    lapstrake.built(context, "--check")
    assert "lark" not in lapstrake.build(context, "--check", env={"PYTHONVERBOSE": "1"}).err.replace("lapstrake", "")


def test_an_answer_in_the_metadata(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch AS one\nLABEL a <b>\n"})
    files = ("--metadata-file", str(tmp_path / "m"), "--iidfile", str(tmp_path / "i"))
    found = {}
    for call in ("check", "check,format=json,ignorestatus=true", "targets", "outline", "subrequests.describe"):
        done = lapstrake.build(context, f"--print={call}", *files)
        assert done.status == (call == "check"), done.err
        assert (tmp_path / "i").read_bytes() == b""
        found[call] = json.loads((tmp_path / "m").read_text())
        assert done.out.endswith(found[call]["result.txt"]) or json.loads(done.out) == found[call]["result.json"]
    check = found["check"]
    assert list(check) == ["result.json", "result.statuscode", "result.txt", "version"]
    assert (check["result.statuscode"], check["version"]) == ("1", "1.0.0")
    assert check["result.txt"].startswith("\nWARNING: LegacyKeyValueFormat - ")
    assert check == found["check,format=json,ignorestatus=true"]
    assert found["outline"]["result.txt"] == "TARGET: one\n\n"
    folder(context, {"Dockerfile": "FROM scratch\n"})
    lapstrake.build(context, "--check", *files)
    check = json.loads((tmp_path / "m").read_text())
    assert (check["result.statuscode"], check["result.txt"]) == ("0", "")


@pytest.mark.parametrize("args", [(), ("--check",), ("--debug",)])
def test_lines_of_a_dockerfile_command_no_terminal(lapstrake: Lapstrake, tmp_path: Path, args: tuple[str, ...]) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x08"
    for name, text in {"warned": f"FROM base\nMAINTAINER {evil}me\n", "broken": f"FROM base\nRUNN {evil}\n"}.items():
        done = lapstrake.build(folder(tmp_path / name, {"Dockerfile": text}), *args)
        assert "\x1b" not in done.out + done.err
        assert "\x08" not in done.out + done.err
