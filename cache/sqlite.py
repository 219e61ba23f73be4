"""Opening a sqlite file that many processes use: made by one of them, its version checked by all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from cache.errors import StoreTooNew
from cache.filelock import locked

_FEW = 64  # pages: a smaller file is not worth the work
_BUSY = 60  # seconds to wait for another process's transaction


def open_database(path: str, schema: Sequence[str], aside: str = "") -> tuple[sqlite3.Connection, str]:
    """A connection in WAL mode that begins no transaction by itself, and what was wrong with the file, "" if nothing.

    A damaged file is begun anew; the old one is kept under the name `aside`, if given. schema: what each version adds
    to the one before it, statements one a line; an older file is brought up to the last. Raises StoreTooNew, and
    sqlite3.OperationalError where the file cannot be used now, which is no damage.
    """
    # One at a time: switching to WAL does not wait for others (sqlite.org/wal.html), nor does setting aside.
    with locked(f"{path}.lock"):
        try:
            return _connect(path, schema), ""
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            discard_database(path, aside)
            return _connect(path, schema), str(error)


def _connect(path: str, schema: Sequence[str]) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        found: int = db.execute("PRAGMA user_version").fetchone()[0]
        version = len(schema)
        if found > version:
            raise StoreTooNew(
                f"the store was made by a newer lapstrake ({path} has version {found}, this one knows {version})",
                "upgrade lapstrake, or give another folder with --root",
            )
        if found < version:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            with db:
                for statement in "\n".join(step.strip() for step in schema[found:]).split("\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {version}")
        db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def problem_of(db: sqlite3.Connection) -> str:
    """What sqlite's own check of a whole file finds first; "" if all is well."""
    try:
        found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else found.replace("\n", " ")


def shrink_database(db: sqlite3.Connection) -> None:
    """Give unused pages back to the disk, if they are many. Others wait for it; if they take too long, it is left."""
    (unused,), (pages,) = db.execute("PRAGMA freelist_count").fetchone(), db.execute("PRAGMA page_count").fetchone()
    if pages > _FEW and unused * 4 > pages:
        with suppress(sqlite3.OperationalError):
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def discard_database(path: str, aside: str = "") -> None:
    """Delete a file that is worth nothing, or give it the name `aside`."""
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)
    if aside:
        os.replace(path, aside)
    else:
        os.unlink(path)
