"""examples/ci: the script is run, the files of CI systems are read for what they would run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import EXAMPLES
from tests.e2e.lapstrake import folder
from tests.memoryregistry import MemoryRegistry, running

CI = EXAMPLES / "ci"
PROGRAM = Path(sys.executable).with_name("lapstrake")


class Job:
    """One machine's run of build.sh in a folder that has the context in `app`."""

    def __init__(self, place: Path, root: str, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
        given = {"LAPSTRAKE": str(PROGRAM), "LAPSTRAKE_ROOT": str(place / root), "CONTEXT": "app", **environment}
        done = subprocess.run(
            ["bash", str(CI / "build.sh")],
            cwd=place,
            env={**inherited, **given},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.last = done.stdout.rstrip().splitlines()[-2:]


def app(place: Path, *lines: str) -> Path:
    folder(place / "app", {"Dockerfile": "\n".join(("FROM scratch", *lines)) + "\n", "file": "text\n"})
    return place


@pytest.mark.e2e
def test_a_folder_as_cache(tmp_path: Path) -> None:
    app(tmp_path, "ARG V", "WORKDIR /$V", "COPY file .")
    given = {"CACHE": "./kept", "TAGS": "app:1\napp:2\n", "BUILD_ARGS": "V=one\n"}
    first = Job(tmp_path, "a", **given)
    assert first.status == 0, first.out
    metadata = json.loads((tmp_path / ".lapstrake/metadata.json").read_text())
    digest = metadata["containerimage.digest"]
    assert metadata["image.name"] == "docker.io/library/app:1,docker.io/library/app:2"
    assert first.last[-1] == f"Built {digest}, 0 steps from the cache."
    second = Job(tmp_path, "b", **given)
    assert second.last[-1] == f"Built {digest}, 2 steps from the cache."
    assert (tmp_path / ".lapstrake/build.log").read_text() in second.out
    before = sorted((tmp_path / "kept/blobs/sha256").iterdir())
    Job(tmp_path, "b", **{**given, "BUILD_ARGS": "V=two", "CACHE_WRITE": "0"})
    assert sorted((tmp_path / "kept/blobs/sha256").iterdir()) == before
    Job(tmp_path, "b", **{**given, "BUILD_ARGS": "V=three"})
    assert len(sorted((tmp_path / "kept/blobs/sha256").iterdir())) == len(before)  # what is old is gone


@pytest.mark.e2e
def test_a_registry_as_cache(tmp_path: Path) -> None:
    app(tmp_path, "COPY file .")
    memory = MemoryRegistry()
    with running(memory) as host:
        given = {"CACHE": f"{host}/app:cache", "TAGS": f"{host}/app:1", "PUSH": "1", "OUT": str(tmp_path / "out")}
        assert Job(tmp_path, "a", **given).status == 0
        assert {("app", "1"), ("app", "cache")} <= set(memory.tags)
        assert "1 steps from the cache" in Job(tmp_path, "b", **given).last[-1]
    gone = Job(tmp_path, "a", **{**given, "PUSH": "0"})
    assert gone.status == 0 and "failed to export cache" in gone.out  # it costs a warning, not the build


@pytest.mark.e2e
def test_what_failed_is_said_at_the_end(tmp_path: Path) -> None:
    app(tmp_path, "COPY no-such-file .")
    (tmp_path / ".lapstrake").mkdir()
    (tmp_path / ".lapstrake/metadata.json").write_text("of an earlier build")
    failed = Job(tmp_path, "a")
    assert failed.status == 1
    assert failed.last[0].startswith("Build failed: ") and "no-such-file" in failed.last[0]
    assert failed.last[1] == "The whole log is in .lapstrake/build.log."
    assert "no-such-file" in (tmp_path / ".lapstrake/build.log").read_text()
    assert not (tmp_path / ".lapstrake/metadata.json").exists()
    on_github = Job(tmp_path, "a", GITHUB_ACTIONS="true")
    assert on_github.last[0].startswith("::error title=Image build failed::failed to build: ")
    assert Job(tmp_path, "a", LAPSTRAKE=str(tmp_path / "none")).status == 127


@pytest.mark.e2e
def test_what_github_is_told(tmp_path: Path) -> None:
    app(tmp_path, "COPY file .")
    told = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": f"{tmp_path}/o", "GITHUB_STEP_SUMMARY": f"{tmp_path}/s"}
    assert Job(tmp_path, "a", **told).status == 0
    assert re.fullmatch(r"digest=sha256:[0-9a-f]{64}\n", (tmp_path / "o").read_text())
    assert "0 steps from the cache" in (tmp_path / "s").read_text()


def variables() -> set[str]:
    """What build.sh says that it reads."""
    head = (CI / "build.sh").read_text().partition("set -uo")[0]
    return set(re.findall(r"^#   ([A-Z_]+) ", head, re.MULTILINE))


def checked(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_script_reads_what_it_says() -> None:
    text = (CI / "build.sh").read_text()
    checked(text)
    used = set(re.findall(r"\$\{?([A-Z_]+)", text)) - {"PIPESTATUS"}
    assert {name for name in used if not name.startswith("GITHUB_")} == variables()


def test_the_action() -> None:
    action: dict[str, Any] = yaml.safe_load((CI / "action.yml").read_text())
    text = (CI / "action.yml").read_text()
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(action["inputs"])
    assert all(isinstance(one["default"], str) and one["description"] for one in action["inputs"].values())
    for step in steps:
        assert ("run" in step) is ("shell" in step) and ("run" in step) is not ("uses" in step)
        if "run" in step:
            checked(step["run"])
            assert "${{" not in step["run"]  # what people give is never part of a script
        else:
            assert re.fullmatch(r"actions/[a-z/-]+@v\d+", step["uses"])
    build = next(step for step in steps if step.get("id") == "build")
    assert set(build["env"]) <= variables() and "build.sh" in build["run"]
    restore, save = (
        next(s for s in steps if s.get("uses", "").startswith(f"actions/cache/{way}")) for way in ("re", "sa")
    )
    assert restore["with"]["path"] == save["with"]["path"] and restore["with"]["key"] == save["with"]["key"]
    assert action["outputs"]["digest"]["value"] == "${{ steps.build.outputs.digest }}"


def test_the_gitlab_template() -> None:
    job: dict[str, Any] = yaml.safe_load((CI / "gitlab-ci.yml").read_text())[".lapstrake"]
    assert set(job) <= {"image", "variables", "before_script", "script", "cache", "artifacts"}
    for line in (*job["before_script"], *job["script"]):
        checked(line)
    own = {"LAPSTRAKE_SCRIPT", "LAPSTRAKE_PACKAGE", "LAPSTRAKE_ROOT"}
    assert set(job["variables"]) - own <= variables()
    used = set(re.findall(r"\$\{?([A-Z_]+)", " ".join((*job["before_script"], *job["script"]))))
    assert {name for name in used if not name.startswith("CI_")} <= own
    assert job["artifacts"]["paths"] == [".lapstrake/"] and job["variables"]["OUT"].endswith("/.lapstrake")
