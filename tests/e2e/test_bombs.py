"""Archives that unpack to more than they may: one line that names archive and member."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder
from tests.e2e.webserver import Page, serving

pytestmark = pytest.mark.e2e

SMALL = {"LAPSTRAKE_UNPACK_LIMIT": "1000000"}
HINT = "hint: raise LAPSTRAKE_UNPACK_LIMIT, in bytes"


def bomb(dockerfile: str = "") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in (("Dockerfile", dockerfile.encode()), ("zeros", bytes(4 << 20))):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return gzip.compress(data.getvalue(), mtime=0)


def kept(store: Path) -> list[str]:
    """Blobs and what is being written."""
    return sorted(name for part in ("blobs/sha256", "tmp") for name in os.listdir(store / part))


def test_add(lapstrake: Lapstrake, tmp_path: Path) -> None:
    lapstrake.built(folder(tmp_path / "first", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}))
    before = kept(lapstrake.store)
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nADD bomb.tgz /d/\n", "bomb.tgz": bomb()})
    done = lapstrake.build(context, env=SMALL)
    assert done.status == 1
    assert "archive bomb.tgz is too large: member 'zeros' makes it larger than 1000000 bytes" in done.err
    assert HINT in done.err
    assert "Traceback" not in done.err
    assert kept(lapstrake.store) == before
    again = lapstrake.built(context)  # nothing was remembered, and this much is honest
    assert again.cached == 0


def test_a_piped_context(lapstrake: Lapstrake) -> None:
    done = subprocess.run(
        [*PROGRAM, "--root", str(lapstrake.store), "build", "-"],
        input=bomb("FROM scratch\nCOPY . /\n"),
        capture_output=True,
        env={**os.environ, **SMALL},
        check=False,
    )
    assert done.returncode == 1
    assert b"from standard input: the archive is too large: member 'zeros'" in done.stderr
    assert HINT.encode() in done.stderr
    assert kept(lapstrake.store) == []


def test_a_context_from_a_url(lapstrake: Lapstrake, tmp_path: Path) -> None:
    with serving(tmp_path) as web:
        web.pages["/c.tgz"] = Page(bomb("FROM scratch\nCOPY . /\n"))
        done = lapstrake.run("build", "--progress=plain", f"{web.url}/c.tgz", env=SMALL)
    assert done.status == 1
    assert "is too large: member 'zeros'" in done.err
    assert HINT in done.err


def test_a_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS big\nADD bomb.tgz /d/\nFROM big\nRUN true\n"
    context = folder(tmp_path / "context", {"Dockerfile": text, "bomb.tgz": bomb()})
    lapstrake.built(context, "--target=big")
    done = lapstrake.build(context, env={"LAPSTRAKE_UNPACK_LIMIT": "4000000"})
    assert done.status == 1
    assert "is too large: member 'd/zeros'" in done.err
    assert "layer sha256:" in done.err
    lapstrake.built(context)


def test_no_number(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n"})
    done = lapstrake.build(context, env={"LAPSTRAKE_UNPACK_LIMIT": "1G"})
    assert done.status == 1
    assert "invalid LAPSTRAKE_UNPACK_LIMIT: 1G" in done.err
