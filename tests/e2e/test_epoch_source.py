"""SOURCE_DATE_EPOCH that names a source."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitpeers import Repository
from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.webserver import BACKEND, Page, Web, serving

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not BACKEND.exists(), reason="git has no http-backend")]
TIME = "2023-11-14T22:13:20Z"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as web:
        yield web


def created(lapstrake: Lapstrake, tmp_path: Path, where: str, *args: str) -> str:
    out = tmp_path / "out"
    done = lapstrake.run("build", "--progress=plain", "-o", f"type=oci,tar=false,dest={out}", *args, where)
    assert done.status == 0, done.err
    blobs = out / "blobs" / "sha256"
    index = json.loads((out / "index.json").read_bytes())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_bytes())
    return str(json.loads((blobs / manifest["config"]["digest"][7:]).read_bytes())["created"])


def test_commits_dates_and_archives(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    repository = Repository(web.repositories, tmp_path / "work", base=f"{web.url}/git")
    repository.commit({"Dockerfile": "FROM scratch\nCOPY . /\n"})
    epoch = "--build-arg=SOURCE_DATE_EPOCH="
    assert created(lapstrake, tmp_path, repository.url, f"{epoch}context") == TIME
    local = str(folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}))
    named = f"--build-context=src={repository.url}"
    assert created(lapstrake, tmp_path, local, named, f"{epoch}src") == TIME
    web.pages["/f"] = Page(b"f", headers={"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"})
    stages = f"ARG SOURCE_DATE_EPOCH=when\nFROM scratch AS When\nADD {web.url}/f /\nFROM scratch\nCOPY Dockerfile /\n"
    folder(tmp_path / "context", {"Dockerfile": stages})
    assert created(lapstrake, tmp_path, local) == TIME
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for mtime in (1700000000, 5):
            member = tarfile.TarInfo(f"f{mtime}")
            member.mtime = mtime
            tar.addfile(member)
    web.pages["/f"] = Page(data.getvalue())
    assert created(lapstrake, tmp_path, local) == TIME


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("FROM scratch AS s\nADD a /\n", "stage source must be a single HTTP(S) or Git ADD"),
        ("FROM scratch AS s\nCOPY a /\n", "source-only requirements: unsupported COPY instruction"),
        ("FROM base AS s\nADD http://x/y /\n", "stage must use FROM scratch"),
        ("FROM scratch AS s\n", "must contain exactly one remote ADD"),
        ("FROM scratch AS s\nADD http://x/y http://x/z /\n", "exactly one remote ADD source"),
        ("FROM scratch AS other\n", "invalid SOURCE_DATE_EPOCH: s"),
    ],
)
def test_stages_that_are_no_source(lapstrake: Lapstrake, tmp_path: Path, stage: str, words: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": f"{stage}FROM scratch\n"})
    assert words in lapstrake.refused(context, "--build-arg=SOURCE_DATE_EPOCH=s").err
