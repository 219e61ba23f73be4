from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from builder.snapshot import registry
from builder.snapshot.registry import Registry, base36
from cache.errors import CacheFault, StoreTooNew


def _make(owner: Registry) -> str:
    name = owner.new_id()
    os.mkdir(os.path.join(owner.folder, name))
    return name


def test_ids_are_short_and_never_given_twice(store_folder: Path) -> None:
    first, second = Registry(str(store_folder)), Registry(str(store_folder))
    names = [owner.new_id() for owner in (first, second) for _ in range(50)]
    assert len(set(names)) == 100 and max(map(len, names)) <= 4
    first.close()
    second.close()


def test_a_row_without_its_folder_is_dropped(store_folder: Path) -> None:
    owner = Registry(str(store_folder))
    name = _make(owner)
    assert owner.register("key", name) == name
    os.rmdir(os.path.join(owner.folder, name))
    assert owner.find("key") is None
    owner.close()


def test_after_a_reboot_only_synced_folders_count(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Registry(str(store_folder))
    synced, loose = _make(owner), _make(owner)
    owner.register("synced", synced)
    owner.sync()
    owner.register("loose", loose)
    assert (owner.find("synced"), owner.find("loose")) == (synced, loose)
    monkeypatch.setattr(registry, "boot_id", lambda: "another boot")
    assert (owner.find("synced"), owner.find("loose")) == (synced, None)
    owner.close()


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100])
def test_a_damaged_file_is_rebuilt_and_its_folders_swept(store_folder: Path, damage: bytes) -> None:
    owner = Registry(str(store_folder))
    name = _make(owner)
    owner.register("key", name)
    owner.close()
    (store_folder / "snapshots.db").write_bytes(damage)
    again = Registry(str(store_folder))
    assert again.find("key") is None
    assert again.rebuilt == bool(damage)
    assert again.new_id() != name
    assert again.sweep([]) == 1
    assert name not in os.listdir(again.folder)
    again.close()


def test_a_newer_file_is_left_alone(store_folder: Path) -> None:
    db = sqlite3.connect(store_folder / "snapshots.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreTooNew):
        Registry(str(store_folder)).new_id()


def test_a_folder_that_cannot_be_written(store_folder: Path) -> None:
    (store_folder / "snapshots.db").mkdir()
    with pytest.raises(CacheFault):
        Registry(str(store_folder)).new_id()


def test_garbage_of_dead_owners_goes_and_foreign_names_stay(store_folder: Path) -> None:
    dead = Registry(str(store_folder))
    left = _make(dead)
    dead.close()
    os.mkdir(store_folder / "snapshots" / "stub")
    os.mkdir(store_folder / "snapshots" / ".trial-x")
    living = Registry(str(store_folder))
    mine = _make(living)
    other = Registry(str(store_folder))
    assert other.sweep([]) == 1
    names = os.listdir(store_folder / "snapshots")
    assert left not in names and {mine, "stub", ".trial-x"} <= set(names)
    living.close()
    other.close()


def test_base36() -> None:
    assert [base36(n) for n in (0, 35, 36, 1295)] == ["0", "z", "10", "zz"]
