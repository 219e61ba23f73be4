"""What `doctor` finds, names and sets right; and that the next build is as the one before the harm."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


def test_harm_is_found_named_and_healed(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN head -c 300000 /dev/zero | tr '\\0' x > /x\nCOPY Dockerfile /y\nRUN cat /x /y > /z\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context, "-t", "app", "-o", f"type=docker,dest={tmp_path}/before.tar", "-o", "type=image")
    whole = lapstrake.run("doctor")
    assert whole.status == 0, whole.out + whole.err
    assert f"store {lapstrake.store}: whole (" in whole.out
    assert "overlay: " in whole.out

    blobs = sorted((lapstrake.store / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    flipped = bytearray(blobs[-2].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    blobs[-2].chmod(0o600)
    blobs[-2].write_bytes(flipped)
    kept = next((lapstrake.store / "snapshots").glob("*/bin/busybox"))
    with open(kept, "r+b") as file:
        file.seek(5000)
        file.write(b"not what it was")
    changed = kept.parent.parent.name
    database = sqlite3.connect(lapstrake.store / "snapshots.db")
    (gone,) = database.execute("SELECT id FROM folders WHERE id != ?", (changed,)).fetchone()
    database.close()
    shutil.rmtree(lapstrake.store / "snapshots" / gone)

    found = lapstrake.run("doctor", "--format=json")
    assert found.status == 1
    said = json.loads(found.out)
    overlay = "overlay: can" in whole.out  # whole trees, where there is none, are of no one blob
    places = {f"blob sha256:{blobs[-2].name}", f"tree {gone}"} | ({f"tree {changed}"} if overlay else set())
    assert {one["place"] for one in said["findings"] if one["damage"]} == places
    assert said["left"] == len(places)
    assert not overlay or "'bin/busybox' has other bytes" in found.out
    assert lapstrake.run("doctor", "--quick").status == 1  # the folder
    healed = lapstrake.run("doctor", "--fix")
    assert healed.status == 0, healed.out
    assert f"fixed    blob sha256:{blobs[-2].name}: is damaged" in healed.out
    assert "all that was damaged is fixed" in healed.out
    assert lapstrake.run("doctor").status == 0
    lapstrake.built(context, "-t", "app", "-o", f"type=docker,dest={tmp_path}/after.tar", "-o", "type=image")
    assert flatten(tmp_path / "after.tar").files == flatten(tmp_path / "before.tar").files
    again = lapstrake.run("doctor")
    assert again.status == 0, again.out


def test_a_cut_index(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN echo a > /a\n"})
    lapstrake.built(context, "-t", "app")
    path = lapstrake.store / "index.db"
    path.write_bytes(path.read_bytes()[:-5000])
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    found = lapstrake.run("doctor")
    assert "index.db" in found.out
    assert found.status == ("damage " in found.out)
    assert lapstrake.run("doctor", "--fix").status == 0
    assert lapstrake.run("doctor").status == 0
    assert lapstrake.built(context, "-t", "app").cached == 0
    assert lapstrake.built(context, "-t", "app").cached == 1
