"""The sqlite file: results by key, and memos (small facts that can be found again). WAL, one connection a process.

A row is written after the bytes it speaks of are on disk, and every reader checks that they still are, so a lost or
stale row costs work and never a wrong result.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cache.digest import Digest
from cache.errors import CacheFault
from cache.sqlite import discard_database, open_database, problem_of, shrink_database

USED_WITHIN = 600.0  # seconds: how far `used` may lag behind, so that a build that only finds does not write
_SCHEMA = (
    """
CREATE TABLE results (key TEXT PRIMARY KEY, record BLOB NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE memos (kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
""",
    """
ALTER TABLE results ADD COLUMN made REAL NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN what TEXT NOT NULL DEFAULT '';
ALTER TABLE memos ADD COLUMN used REAL NOT NULL DEFAULT 0;
""",
)


class Filed(NamedTuple):
    """A result as it is kept. used, made: seconds since 1970, 0 if not known. uses: builds. what: the step's name."""

    key: Digest
    record: bytes
    used: float
    made: float
    uses: int
    what: str


class Index:
    """Opened on `path`, made if absent. A damaged file is set aside and begun anew: `rebuilt` then says so."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._path = path
        self.rebuilt = ""
        self._db = self._opened()

    def close(self) -> None:
        self._db.close()

    def problem(self) -> str:
        """What is wrong with the file, all of it looked through; "" if nothing is."""
        with self._lock:
            return problem_of(self._db)

    def begin_anew(self, problem: str) -> None:
        """Set a damaged file aside, for what problem() said."""
        with self._lock:
            self._db.close()
            discard_database(self._path, f"{self._path}.damaged")
            self._db = self._opened()
            self._note(problem)

    def _opened(self) -> sqlite3.Connection:
        try:
            db, problem = open_database(self._path, _SCHEMA, f"{self._path}.damaged")
        except sqlite3.Error as error:
            raise _unusable(error) from error
        if problem:
            self._note(problem)
        return db

    def _note(self, problem: str) -> None:
        aside = f"{self._path}.damaged"
        self.rebuilt = f"the cache index was damaged ({problem}) and is begun anew; the old one is {aside}"

    def results(self) -> list[tuple[Digest, bytes]]:
        return [(Digest(key), record) for key, record in self._ask("SELECT key, record FROM results ORDER BY key")]

    def filed(self) -> list[Filed]:
        """All results with what is known of their use."""
        rows = self._ask("SELECT key, record, used, made, uses, what FROM results ORDER BY key")
        return [Filed(Digest(key), *rest) for key, *rest in rows]

    def result(self, key: Digest) -> bytes | None:
        rows = self._ask("SELECT record FROM results WHERE key = ?", key.hex)
        return bytes(rows[0][0]) if rows else None

    def put_result(self, key: Digest, record: bytes, used: float, what: str = "") -> None:
        self._ask("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, 1, ?)", key.hex, record, used, used, what)

    def touch_results(self, keys: list[Digest], used: float) -> None:
        """Note that results were used, in one transaction; those noted in the last USED_WITHIN seconds stay."""
        before = used - USED_WITHIN
        stale = [
            key.hex for key in keys if self._ask("SELECT 1 FROM results WHERE key = ? AND used < ?", key.hex, before)
        ]
        if stale:
            with self._transaction() as db:
                db.executemany(
                    "UPDATE results SET used = ?, uses = uses + 1 WHERE key = ?", [(used, key) for key in stale]
                )

    def delete_result(self, key: Digest) -> None:
        self.delete_results([key])

    def delete_results(self, keys: Iterable[Digest]) -> None:
        """In one transaction."""
        with self._transaction() as db:
            db.executemany("DELETE FROM results WHERE key = ?", [(key.hex,) for key in keys])

    def memo(self, kind: str, key: Digest) -> bytes | None:
        rows = self._ask("SELECT value FROM memos WHERE kind = ? AND key = ?", kind, key.hex)
        return bytes(rows[0][0]) if rows else None

    def memos(self, kind: str) -> list[bytes]:
        """All memos of a kind."""
        return [bytes(value) for (value,) in self._ask("SELECT value FROM memos WHERE kind = ? ORDER BY key", kind)]

    def memos_of(self, kind: str) -> list[tuple[Digest, bytes, float]]:
        """All memos of a kind: name, value, when it was last used as far as that is noted."""
        rows = self._ask("SELECT key, value, used FROM memos WHERE kind = ? ORDER BY key", kind)
        return [(Digest(key), bytes(value), used) for key, value, used in rows]

    def put_memo(self, kind: str, key: Digest, value: bytes, used: float = 0) -> None:
        self._ask("INSERT OR REPLACE INTO memos VALUES (?, ?, ?, ?)", kind, key.hex, value, used)

    def touch_memo(self, kind: str, key: Digest, used: float) -> None:
        """Note that a memo was used, as exactly as for results."""
        before = used - USED_WITHIN
        if self._ask("SELECT 1 FROM memos WHERE kind = ? AND key = ? AND used < ?", kind, key.hex, before):
            self._ask("UPDATE memos SET used = ? WHERE kind = ? AND key = ?", used, kind, key.hex)

    def put_memos(self, kind: str, memos: Iterable[tuple[Digest, bytes]]) -> None:
        """Many in one transaction."""
        rows = [(kind, key.hex, value) for key, value in memos]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO memos VALUES (?, ?, ?, 0)", rows)

    def delete_memos(self, kind: str, keys: Iterable[Digest]) -> None:
        """In one transaction."""
        with self._transaction() as db:
            db.executemany("DELETE FROM memos WHERE kind = ? AND key = ?", [(kind, key.hex) for key in keys])

    def forget_memos(self, kinds: Iterable[str]) -> None:
        """Delete all memos of these kinds."""
        with self._transaction() as db:
            db.executemany("DELETE FROM memos WHERE kind = ?", [(kind,) for kind in kinds])

    def shrink(self) -> None:
        """Give the space of what was deleted back to the disk, if it is much."""
        with self._lock:
            shrink_database(self._db)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                with self._db:
                    yield self._db
            except sqlite3.Error as error:
                raise _unusable(error) from error

    def _ask(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise _unusable(error) from error


def _unusable(error: sqlite3.Error) -> CacheFault:
    code = getattr(error, "sqlite_errorname", "")
    full = code == "SQLITE_FULL" or code.startswith("SQLITE_IOERR")
    hint = "if the disk is full, lapstrake prune makes room" if full else "lapstrake doctor --fix begins a new one"
    return CacheFault(f"the cache index cannot be used: {error}", hint)
