"""The sqlite file: results by key, and memos (small facts that can be found again). WAL, one connection a process.

A row is written after the bytes it speaks of are on disk, and every reader checks that they still are, so a lost or
stale row costs work and never a wrong result.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import Any

from cache.digest import Digest
from cache.errors import CacheFault, StoreTooNew

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE results (key TEXT PRIMARY KEY, record BLOB NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE memos (kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
"""


class Index:
    """Opened on `path`, made if absent. A damaged file is set aside and begun anew: `rebuilt` then says so."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self.rebuilt = ""
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            self.rebuilt = f"the cache index was damaged ({error}) and is begun anew; the old one is {path}.damaged"
            for suffix in ("-wal", "-shm"):
                _unlink(path + suffix)
            os.replace(path, path + ".damaged")
            self._db = _open(path)

    def close(self) -> None:
        self._db.close()

    def results(self) -> list[tuple[Digest, bytes]]:
        return [(Digest(key), record) for key, record in self._ask("SELECT key, record FROM results ORDER BY key")]

    def result(self, key: Digest) -> bytes | None:
        rows = self._ask("SELECT record FROM results WHERE key = ?", key.hex)
        return bytes(rows[0][0]) if rows else None

    def put_result(self, key: Digest, record: bytes, used: float) -> None:
        self._do("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", key.hex, record, used)

    def touch_results(self, keys: list[Digest], used: float) -> None:
        """Note that results were used, in one transaction."""
        with self._lock, self._db:
            self._db.executemany("UPDATE results SET used = ? WHERE key = ?", [(used, key.hex) for key in keys])

    def delete_result(self, key: Digest) -> None:
        self._do("DELETE FROM results WHERE key = ?", key.hex)

    def memo(self, kind: str, key: Digest) -> bytes | None:
        rows = self._ask("SELECT value FROM memos WHERE kind = ? AND key = ?", kind, key.hex)
        return bytes(rows[0][0]) if rows else None

    def put_memo(self, kind: str, key: Digest, value: bytes) -> None:
        self._do("INSERT OR REPLACE INTO memos VALUES (?, ?, ?)", kind, key.hex, value)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM results")
            self._db.execute("DELETE FROM memos")

    def _ask(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise _damaged(error) from error

    def _do(self, sql: str, *values: object) -> None:
        with self._lock:
            try:
                with self._db:
                    self._db.execute(sql, values)
            except sqlite3.DatabaseError as error:
                raise _damaged(error) from error


def _damaged(error: sqlite3.DatabaseError) -> CacheFault:
    return CacheFault(f"the cache index cannot be used: {error}", "lapstrake prune --all --force begins a new one")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _open(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=60, check_same_thread=False)
    try:
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreTooNew(
                f"the store was made by a newer lapstrake (schema {version}, this one knows {SCHEMA_VERSION})",
                "upgrade lapstrake, or give another folder with --root",
            )
        if version < SCHEMA_VERSION:
            _create(db)
        db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone()[0] == 0:  # another process may have been first
        for statement in _SCHEMA.strip().split("\n"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.commit()
