"""--reproducible: a date in any case, and no file younger than it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.compare import Flat, flatten
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

TEXT = """\
FROM base
COPY a /a
RUN echo made > /made && touch -d @100 /old
ARG SOURCE_DATE_EPOCH
RUN echo $SOURCE_DATE_EPOCH > /date
"""
NEWEST = 1_400_000_000


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = folder(
        tmp_path / "context", {"Dockerfile": TEXT, "a": "a", "sub/b": "", "hid": "", ".dockerignore": "hid\n"}
    )
    for path in (*made.rglob("*"), made / ".dockerignore"):
        os.utime(path, (NEWEST - 5, NEWEST - 5))
    os.utime(made / "sub" / "b", (NEWEST, NEWEST))
    return made


def built(lapstrake: Lapstrake, context: Path, tmp_path: Path, *args: str) -> Flat:
    out = f"type=docker,dest={tmp_path}/out.tar"
    lapstrake.built(context, "--reproducible", "-o", out, *args)
    return flatten(tmp_path / "out.tar")


def test_the_newest_file_that_is_not_ignored(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    found = built(lapstrake, context, tmp_path)
    assert found.document["created"] == "2014-05-13T16:53:20Z"
    assert [found.files[name].mtime for name in ("made", "old", "date")] == [NEWEST, 100, NEWEST]
    assert "Verified: " in lapstrake.built(context, "--reproducible", "--verify", "-t", "x").err
    assert lapstrake.run("inspect", "-f", "{{.Created}}", "x").out.strip() == "2014-05-13T16:53:20Z"


def test_a_given_epoch_goes_first(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    found = built(lapstrake, context, tmp_path, "--build-arg", "SOURCE_DATE_EPOCH=1500000000")
    assert found.document["created"] == "2017-07-14T02:40:00Z"
    assert found.files["made"].mtime == 1_500_000_000


def test_a_clean_commit_goes_before_files(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    date = {"GIT_AUTHOR_DATE": "1300000000 +0000", "GIT_COMMITTER_DATE": "1300000000 +0000"}
    identity = ("-c", "user.name=a", "-c", "user.email=b", "-c", "safe.directory=*")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        subprocess.run(["git", *identity, *words], cwd=context, env={**os.environ, **date}, check=True)
    assert built(lapstrake, context, tmp_path).files["made"].mtime == 1_300_000_000
    (context / "new").write_text("")
    os.utime(context / "new", (NEWEST + 1, NEWEST + 1))
    (context / ".dockerignore").write_text("hid\n.git\n.dockerignore\n")
    assert built(lapstrake, context, tmp_path).files["made"].mtime == NEWEST + 1


def test_a_context_without_files(lapstrake: Lapstrake, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM base\nRUN echo a > /a\n")
    found = built(lapstrake, tmp_path / "empty", tmp_path, "-f", str(tmp_path / "Dockerfile"))
    assert found.files["a"].mtime == 315_619_200  # 1980-01-02, like all that has no date of its own
