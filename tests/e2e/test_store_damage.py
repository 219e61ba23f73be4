"""A store that was harmed: found, said, and made good; never a wrong image."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder
from tests.memoryregistry import MemoryRegistry, running

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
    wanted = f"ERROR: the store {lapstrake.store} cannot be used: File exists\nhint: choose a folder with --root\n"
    assert lapstrake.refused(context).err == wanted


class Kept:
    """A store with a bit of everything, and the digest that its build has."""

    TEXT = """\
FROM base
RUN --mount=type=cache,target=/k date > /k/d; echo a > /a; touch -d @1 /a
COPY b /b
RUN cat /a /b > /c; touch -d @1 /c
"""

    def __init__(self, lapstrake: Lapstrake, tmp_path: Path) -> None:
        self.lapstrake, self.path = lapstrake, tmp_path
        self.context = folder(tmp_path / "context", {"Dockerfile": self.TEXT, "b": "b\n" * 100})
        self.wanted = self.digest()[0]

    def digest(self) -> tuple[str, str]:
        """Of an image whose every byte is read; and what was said."""
        facts = self.path / "facts"
        out = ("-o", f"type=oci,dest={self.path}/out.tar", "-o", "type=image")
        done = self.lapstrake.built(self.context, "-t", "app", *out, f"--metadata-file={facts}")
        assert "Traceback" not in done.err
        return str(json.loads(facts.read_text())["containerimage.digest"]), done.err

    def files(self, pattern: str) -> list[Path]:
        return sorted(path for path in self.lapstrake.store.glob(pattern) if path.is_file())


def flip(path: Path, choose: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    path.chmod(0o600)
    path.write_bytes(data)


def cut(path: Path, choose: random.Random) -> None:
    os.truncate(path, choose.randrange(path.stat().st_size))


def noise(path: Path, choose: random.Random) -> None:
    path.chmod(0o600)
    path.write_bytes(choose.randbytes(path.stat().st_size))


def gone(path: Path, choose: random.Random) -> None:
    path.unlink()


HARMS: list[Callable[[Path, random.Random], None]] = [flip, cut, noise, gone]


@pytest.mark.parametrize("turn", [0, 1])
def test_every_part_of_a_store(lapstrake: Lapstrake, tmp_path: Path, turn: int) -> None:
    """Each in turn, and never is anything but the right image made, nor is the store left harmed."""
    kept, choose = Kept(lapstrake, tmp_path), random.Random(turn)
    parts = ["blobs/sha256/*", "index.db", "snapshots.db", "stats/*", "index.json", "index.backup.json", "oci-layout"]
    for number, part in enumerate([*parts, "seccomp-*", "traces/*"]):
        harm = HARMS[(number + 2 * turn) % len(HARMS)]
        found = [path for path in kept.files(part) if path.stat().st_size]
        if not found:
            continue
        path = choose.choice(found)
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
        harm(path, choose)
        digest, said = kept.digest()
        assert digest == kept.wanted, f"{path}: {said}"
        doctor = lapstrake.run("doctor")
        if doctor.status:  # the build had no need of it
            assert path.name in doctor.out, f"{harm.__name__} {path}: {doctor.out}{said}"
            assert lapstrake.run("doctor", "--fix").status == 0


def test_trees_that_are_gone(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """All folders of layers at once, with their rows left; a step that is run anew needs them."""
    kept = Kept(lapstrake, tmp_path)
    for path in (lapstrake.store / "snapshots").iterdir():
        if path.is_dir() and path.name != "stub":
            shutil.rmtree(path)
    assert lapstrake.run("doctor").status == 1
    assert kept.digest()[0] == kept.wanted
    (kept.context / "Dockerfile").write_text(Kept.TEXT + "RUN test -e /a -a -e /b\n")
    kept.digest()
    assert lapstrake.run("doctor", "--fix").status == 0


def test_a_pulled_image_is_made_whole_from_where_it_came(lapstrake: Lapstrake, tmp_path: Path) -> None:
    lapstrake.built(folder(tmp_path / "app", {"Dockerfile": "FROM base\nRUN echo 1 > /a\n"}), "-t", "app")
    puller = Lapstrake(tmp_path / "puller")

    def harm(lapstrake: Lapstrake = puller) -> int:
        layers = [blob for blob in blobs(lapstrake) if blob.read_bytes()[:1] != b"{"]
        for blob in layers:
            data = bytearray(blob.read_bytes())
            data[len(data) // 2] ^= 1
            blob.write_bytes(data)
        return len(layers)

    memory = MemoryRegistry()
    with running(memory) as host:
        name = f"{host}/app:1"
        lapstrake.run("tag", "app", name)
        assert lapstrake.run("push", "-q", name).status == 0
        assert puller.run("pull", "-q", name).status == 0
        layers = harm()
        ran = puller.run("run", name, "cat", "/a")
        assert (ran.status, ran.out) == (0, "1\n"), ran.err
        assert ran.err.count(f"was damaged or gone; it is fetched again from {name}") == layers
        harm()
        saved = puller.run("save", "-o", str(tmp_path / "saved.tar"), name)
        assert (saved.status, saved.err.count("fetched again")) == (0, layers), saved.err
        harm()
        context = folder(tmp_path / "on", {"Dockerfile": f"FROM {name}\nCOPY Dockerfile /\n"})
        built = puller.built(context, "-o", f"type=docker,dest={tmp_path}/built.tar")
        assert f"[internal] pull {name}" in built.err
        harm()
        piped = puller.run("save", name)
        assert piped.status == 1 and "run the command once more" in piped.err
        for blob in blobs(puller):
            if blob.read_bytes()[:1] != b"{":
                blob.unlink()
        assert puller.run("save", "-o", str(tmp_path / "again.tar"), name).status == 0
        assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "saved.tar").read_bytes()
        harm()
    alone = puller.run("save", "-o", str(tmp_path / "alone.tar"), name)
    assert alone.status == 1 and f"lapstrake pull {name}" in alone.err and "Traceback" not in alone.err
    loader = Lapstrake(tmp_path / "puller2")
    assert loader.run("load", "-i", str(tmp_path / "saved.tar")).status == 0
    harm(loader)
    unknown = loader.run("run", name)
    assert unknown.status == 125 and "nothing is known of where it came from" in unknown.err
