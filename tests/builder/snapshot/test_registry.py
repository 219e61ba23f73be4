from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from builder.snapshot import registry
from builder.snapshot.registry import Registry, base36
from cache import sqlite
from cache.errors import CacheFault, StoreTooNew


def _registry(store: Path) -> Registry:
    return Registry(str(store), _warnings.append)


_warnings: list[str] = []


def _make(owner: Registry) -> str:
    name = owner.new_id()
    os.mkdir(os.path.join(owner.folder, name))
    return name


def test_ids_are_short_and_never_given_twice(store_folder: Path) -> None:
    first, second = _registry(store_folder), _registry(store_folder)
    names = [owner.new_id() for owner in (first, second) for _ in range(50)]
    assert len(set(names)) == 100 and max(map(len, names)) <= 4
    first.close()
    second.close()


def test_a_row_without_its_folder_is_dropped(store_folder: Path) -> None:
    owner = _registry(store_folder)
    name = _make(owner)
    assert owner.register("key", name) == name
    os.rmdir(os.path.join(owner.folder, name))
    assert owner.find("key") is None
    owner.close()


def test_after_a_reboot_only_synced_folders_count(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = _registry(store_folder)
    synced = _make(owner)
    owner.register("synced", synced)
    owner.close()
    with monkeypatch.context() as later:
        later.setattr(registry, "_SETTLED", -1)
        owner = _registry(store_folder)
        assert owner.find("synced") == synced
    loose = _make(owner)
    owner.register("loose", loose)
    owner.close()
    monkeypatch.setattr(registry, "boot_id", lambda: "another boot")
    owner = _registry(store_folder)
    assert (owner.find("synced"), owner.find("loose")) == (synced, None)
    assert {synced, loose} & set(os.listdir(owner.folder)) == {synced}
    owner.close()


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100])
def test_a_damaged_file_is_rebuilt_and_its_folders_go(store_folder: Path, damage: bytes) -> None:
    owner = _registry(store_folder)
    name = _make(owner)
    owner.register("key", name)
    owner.close()
    (store_folder / "snapshots.db").write_bytes(damage)
    _warnings.clear()
    again = _registry(store_folder)
    assert again.find("key") is None
    assert len(_warnings) == bool(damage)
    assert again.new_id() != name
    assert name not in os.listdir(again.folder)
    again.close()


def test_a_newer_file_is_left_alone(store_folder: Path) -> None:
    db = sqlite3.connect(store_folder / "snapshots.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreTooNew):
        _registry(store_folder).new_id()


def test_a_folder_that_cannot_be_written(store_folder: Path) -> None:
    (store_folder / "snapshots.db").mkdir()
    with pytest.raises(CacheFault):
        _registry(store_folder).new_id()


def test_garbage_of_dead_owners_goes_and_foreign_names_stay(store_folder: Path) -> None:
    dead = _registry(store_folder)
    kept, left = _make(dead), _make(dead)
    dead.register("key", kept)
    dead.close()
    os.mkdir(store_folder / "snapshots" / "stub")
    os.mkdir(store_folder / "snapshots" / ".trial-x")
    living = _registry(store_folder)
    mine = _make(living)
    other = _registry(store_folder)
    assert other.find("key") == kept
    names = os.listdir(store_folder / "snapshots")
    assert left not in names
    assert {kept, mine, "stub", ".trial-x"} <= set(names)
    living.close()
    other.close()


def test_base36() -> None:
    assert [base36(n) for n in (0, 35, 36, 1295)] == ["0", "z", "10", "zz"]


def test_owners_do_not_pile_up(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SETTLED", -1)
    for _ in range(5):
        owner = _registry(store_folder)
        owner.new_id()
        owner.close()
    db = sqlite3.connect(store_folder / "snapshots.db")
    assert db.execute("SELECT COUNT(*) FROM owners").fetchone()[0] <= 2
    db.close()
    assert not [name for name in os.listdir(store_folder / "snapshots") if name.endswith(".lock")]


class _Failing:
    """A database whose disk fails at a statement."""

    def __init__(self, db: sqlite3.Connection, at: str) -> None:
        self._db, self._at = db, at

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if sql.startswith(self._at):
            raise sqlite3.OperationalError("disk I/O error")
        return self._db.execute(sql, *values)

    def __enter__(self) -> None:
        self._db.__enter__()

    def __exit__(self, *error: object) -> None:
        self._db.rollback()
        if self._at == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")

    def close(self) -> None:
        self._db.close()


@pytest.mark.parametrize("at", ["BEGIN", "INSERT", "COMMIT"])
def test_a_disk_that_fails_when_it_is_opened(store_folder: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """It is said as such, whoever asks gets no name that nobody keeps, and nothing is left of it."""
    plain = sqlite.open_database
    owner = _registry(store_folder)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "open_database", lambda *args: (_Failing(plain(*args)[0], at), ""))
        for _ in range(2):
            with pytest.raises(CacheFault, match="disk I/O error"):
                owner.new_id()
    assert [name for name in os.listdir(owner.folder) if name.endswith(".lock")] == []
    assert _make(owner)
    owner.close()
