"""Contexts and Dockerfiles on the standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.e2e.lapstrake import PROGRAM, TIMEOUT, Lapstrake, folder

pytestmark = pytest.mark.e2e

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def archive(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return data.getvalue()


def piped(lapstrake: Lapstrake, data: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    words = ["--root", str(lapstrake.store), "build", "--progress=plain"]
    base = [f"--build-context=base=docker-archive://{lapstrake.base}"]
    return subprocess.run(
        [*PROGRAM, *words, *base, *args], input=data, capture_output=True, timeout=TIMEOUT, check=False
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_archive(lapstrake: Lapstrake, tmp_path: Path, form: str) -> None:
    files = {"./Dockerfile": "FROM base\nCOPY sub /s\nCOPY .dockerignore /\n", "sub/a": "A", ".dockerignore": "sub\n"}
    done = piped(lapstrake, FORMS[form](archive(files)), "-o", str(tmp_path / "out"), "-")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "s" / "a").read_text() == "A"  # an archive has no ignore file
    assert os.listdir(lapstrake.store / "tmp") == []


def test_a_dockerfile_alone(lapstrake: Lapstrake, tmp_path: Path) -> None:
    done = piped(lapstrake, b"FROM base\nRUN echo x > /x\n", "-o", str(tmp_path / "out"), "-")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "x").read_text() == "x\n"
    assert b'"/a": not found' in piped(lapstrake, b"FROM base\nCOPY a /\n", "-").stderr


def test_a_dockerfile_for_a_folder(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"a": "A", "Dockerfile": "FROM nothing"})
    done = piped(lapstrake, b"FROM base\nCOPY a /\n", "-f", "-", "-o", str(tmp_path / "out"), str(context))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a").read_text() == "A"


def test_another_dockerfile_in_an_archive(lapstrake: Lapstrake) -> None:
    data = archive({"ci/File": "FROM base\n"})
    assert piped(lapstrake, data, "-f", "ci/File", "-").returncode == 0
    done = piped(lapstrake, data, "-")
    assert done.returncode == 1
    assert b"failed to read dockerfile: open Dockerfile: no such file or directory" in done.stderr


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../../../etc/passwd"])
def test_links_lead_nowhere(lapstrake: Lapstrake, target: str) -> None:
    done = piped(lapstrake, archive({}, {"Dockerfile": target}), "-")
    assert done.returncode == 1
    assert b"root:" not in done.stderr
    done = piped(lapstrake, archive({"Dockerfile": "FROM base\nCOPY link/x /\n"}, {"link": target}), "-")
    assert done.returncode == 1
    assert b"not found" in done.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", b"is empty"),
        (gzip.compress(b"FROM base\n", mtime=0), b"compressed and no tar archive"),
        (gzip.compress(archive({"Dockerfile": "FROM base\n"}), mtime=0)[:-30], b"failed to read the build context"),
        (archive({"../x": "y"}), b"failed to read the build context"),
    ],
)
def test_bad_input(lapstrake: Lapstrake, data: bytes, words: bytes) -> None:
    done = piped(lapstrake, data, "-")
    assert done.returncode == 1
    assert words in done.stderr
    assert b"Traceback" not in done.stderr
    assert os.listdir(lapstrake.store / "tmp") == []


def test_one_input_for_two_things(lapstrake: Lapstrake) -> None:
    assert b"can't use stdin for both" in piped(lapstrake, b"", "-f", "-", "-").stderr
