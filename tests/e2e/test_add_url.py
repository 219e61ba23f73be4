"""ADD of URLs."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.webserver import Page, Web, serving

pytestmark = pytest.mark.e2e

DATED = {"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
FIXED = 315619200  # 1980-01-02


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serving(tmp_path) as web:
        web.pages["/dir/file.txt"] = Page(b"hello\n", headers={"ETag": '"one"', **DATED})
        web.pages["/plain"] = Page(b"plain\n")
        web.pages["/"] = Page(b"root\n")
        yield web


def context(tmp_path: Path, *lines: str) -> Path:
    return folder(tmp_path / "context", {"Dockerfile": "\n".join(["FROM scratch", *lines, ""]), "own": "own\n"})


def test_names_modes_and_dates(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    lines = (f"ADD {web.url}/dir/file.txt {web.url}/plain?x=1 own {web.url} /d/", f"ADD --chmod=755 {web.url}/plain /p")
    lapstrake.built(context(tmp_path, *lines), "-o", f"type=tar,dest={tmp_path}/out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        found = {m.name: (m.mode, m.uid, m.mtime, m.isfile()) for m in tar}
        assert found["d/file.txt"] == (0o600, 0, 1700000000, True)
        assert found["d/plain"] == (0o600, 0, FIXED, True)
        assert found["d/__unnamed__"] == (0o600, 0, FIXED, True)
        assert found["d/own"] == (0o644, 0, FIXED, True)
        assert found["p"] == (0o755, 0, FIXED, True)


def test_an_etag_saves_the_second_download(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    made = context(tmp_path, f"ADD {web.url}/dir/file.txt /f")
    lapstrake.built(made)
    assert lapstrake.built(made).cached == 1
    assert [h.get("if-none-match") for _, p, h in web.requests if p == "/dir/file.txt"] == [None, '"one"']
    web.pages["/dir/file.txt"] = Page(b"new\n", headers={"ETag": '"two"', **DATED})
    assert lapstrake.built(made).cached == 0
    assert lapstrake.built(made).cached == 1


def test_equal_content_of_another_url_is_a_hit(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    web.pages["/other/plain"] = web.pages["/plain"]
    lapstrake.built(context(tmp_path, f"ADD {web.url}/plain /f"))
    assert lapstrake.built(context(tmp_path, f"ADD {web.url}/other/plain /f")).cached == 1


def test_checksum(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    right = f"sha256:{hashlib.sha256(b'plain' + bytes([10])).hexdigest()}"
    wrong = f"sha256:{'0' * 64}"
    before = sorted(os.listdir(lapstrake.store / "blobs" / "sha256")) if lapstrake.store.exists() else []
    done = lapstrake.refused(context(tmp_path, f"ADD --checksum={wrong} {web.url}/plain /f"))
    assert f"digest mismatch {right}: {wrong}" in done.err
    assert sorted(os.listdir(lapstrake.store / "blobs" / "sha256")) == before
    assert os.listdir(lapstrake.store / "tmp") == []
    made = context(tmp_path, f"ADD --checksum={right} {web.url}/plain /f")
    lapstrake.built(made)
    asked = web.asked("/plain")
    assert lapstrake.built(made).cached == 1
    assert web.asked("/plain") == asked


def test_archives_are_extracted_on_request_only(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo("in/side")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"S"))
    web.pages["/a.tgz"] = Page(data.getvalue())
    lines = (f"ADD {web.url}/a.tgz /whole/", f"ADD --unpack {web.url}/a.tgz /un/")
    lapstrake.built(context(tmp_path, *lines), "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "whole" / "a.tgz").read_bytes() == data.getvalue()
    assert (tmp_path / "out" / "un" / "in" / "side").read_text() == "S"


def test_redirects(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    web.pages["/moved"] = Page(status=302, headers={"Location": "/plain"})
    web.pages["/loop"] = Page(status=302, headers={"Location": "/loop"})
    lapstrake.built(context(tmp_path, f"ADD {web.url}/moved /d/"), "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "d" / "moved").read_text() == "plain\n"
    assert "redirects" in lapstrake.refused(context(tmp_path, f"ADD {web.url}/loop /d/")).err


def test_what_goes_wrong_is_one_line(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    web.pages["/gone"] = Page(b"", 404)
    web.pages["/short"] = Page(b"abc", length=10)
    for line, words in (
        (f"ADD {web.url}/gone /f", "invalid response status 404"),
        (f"ADD {web.url}/short /f", f"{web.url}/short"),
        (f"COPY {web.url}/plain /f", "source can't be a URL for COPY"),
        ("ADD --checksum=sha256:0 own /f", "checksum requires HTTP(S) or Git sources"),
    ):
        done = lapstrake.refused(context(tmp_path, line))
        assert words in done.err, line
    assert os.listdir(lapstrake.store / "tmp") == []


def test_an_endless_body_ends_at_the_limit(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    web.pages["/endless"] = Page(b"", length=-1)
    done = lapstrake.build(context(tmp_path, f"ADD {web.url}/endless /f"), env={"LAPSTRAKE_DOWNLOAD_LIMIT": "1000000"})
    assert done.status == 1
    assert "more than 1000000 bytes" in done.err
    assert os.listdir(lapstrake.store / "tmp") == []


def test_a_secret_of_the_host(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    secret = {"HTTP_AUTH_TOKEN_127.0.0.1": "s3cr3t"}
    made = context(tmp_path, f"ADD {web.url}/plain /f")
    done = lapstrake.build(made, "--secret=id=HTTP_AUTH_TOKEN_127.0.0.1", env=secret)
    assert done.status == 0, done.err
    assert [h.get("authorization") for _, p, h in web.requests if p == "/plain"] == ["Bearer s3cr3t"]


def test_a_url_as_context(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in {"Dockerfile": "FROM scratch\nCOPY a /x\n", "a": "A", ".dockerignore": "a\n"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    web.pages["/c.tgz"] = Page(data.getvalue(), headers={"ETag": '"c"'})
    web.pages["/Dockerfile"] = Page(b"FROM scratch\nCOPY context /y\nCOPY --from=n context /n\n")
    done = lapstrake.run("build", "--progress=plain", "-o", str(tmp_path / "out"), f"{web.url}/c.tgz")
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "x").read_text() == "A"
    named = f"--build-context=n={web.url}/plain"
    done = lapstrake.run("build", "--progress=plain", "-o", str(tmp_path / "two"), named, f"{web.url}/Dockerfile")
    assert done.status == 0, done.err
    assert (tmp_path / "two" / "y").read_bytes() == web.pages["/Dockerfile"].body
    assert (tmp_path / "two" / "n").read_text() == "plain\n"
    web.pages["/D"] = Page(b"FROM scratch\nCOPY own /o\n")
    lapstrake.built(context(tmp_path), "-f", f"{web.url}/D", "-o", str(tmp_path / "three"))
    assert (tmp_path / "three" / "o").read_text() == "own\n"
