"""A store that was harmed: found, said, and made good; never a wrong image."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

TEXT = "FROM base\nRUN echo a > /a\nCOPY b /b\nRUN cat /a /b > /c\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return folder(tmp_path / "context", {"Dockerfile": TEXT, "b": "b\n"})


def rebuilt(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> str:
    done = lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/again.tar")
    assert flatten(tmp_path / "again.tar").files.keys() >= {"a", "b", "c"}
    assert "Traceback" not in done.err
    return done.err


def blobs(lapstrake: Lapstrake) -> list[Path]:
    return sorted((lapstrake.store / "blobs" / "sha256").iterdir())


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone"])
def test_harmed_blobs(lapstrake: Lapstrake, context: Path, tmp_path: Path, harm: str) -> None:
    lapstrake.built(context, "-t", "x")
    for blob in blobs(lapstrake):
        data = bytearray(blob.read_bytes())
        blob.chmod(0o600)
        if harm == "flip":
            data[len(data) // 2] ^= 1
            blob.write_bytes(data)
        elif harm == "cut":
            blob.write_bytes(data[:-1])
        elif harm == "empty":
            blob.write_bytes(b"")
        else:
            blob.unlink()
    said = rebuilt(lapstrake, context, tmp_path)
    assert ("was damaged and is made anew" in said) == (harm == "flip")  # the others are not found at all


def index(lapstrake: Lapstrake) -> Path:
    path = lapstrake.store / "index.db"
    assert path.read_bytes().startswith(b"SQLite format 3")
    return path


@pytest.mark.parametrize("harm", ["noise", "empty", "header"])
def test_a_harmed_index(lapstrake: Lapstrake, context: Path, tmp_path: Path, harm: str) -> None:
    lapstrake.built(context, "-t", "x")
    path = index(lapstrake)
    data = bytearray(path.read_bytes())
    if harm == "noise":
        data[:] = bytes(range(256)) * (len(data) // 256)
    elif harm == "empty":
        data.clear()
    else:
        data[16:40] = b"\xff" * 24
    path.write_bytes(data)
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    rebuilt(lapstrake, context, tmp_path)
    assert "x" in lapstrake.run("images").out


def test_a_harmed_list_of_images(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(context, "-t", "x")
    (lapstrake.store / "index.json").write_text("{")
    rebuilt(lapstrake, context, tmp_path)
    assert "x" in lapstrake.run("images").out


def test_a_store_of_a_newer_version(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    path = index(lapstrake)
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version + 1000}")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    err = lapstrake.refused(context).err
    assert "newer" in err
    assert path.read_bytes() == before


def test_a_store_that_is_a_file(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.store.write_text("")
    lapstrake.refused(context)
