"""Registry: which folder stands for which layer, in `snapshots.db`, and who made what is not registered yet.

A folder's name is OWNER.NUMBER in base 36; an owner is one process, alive as long as it holds a lock (flock(2)) on
`snapshots/OWNER.lock`. A folder exists for others from the commit of its row on. Order of a deletion: row, then
folder; of a creation: folder, then row. So a row never names a folder that is not whole, but for a power loss, after
which rows that were not synced are dropped: they carry the boot they were made in. A registered folder that was found
or made here is held (cache.leases) until close(), so that nobody evicts it. Syncing and deleting what nobody can
use is done when a process opens the registry.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from builder.layer.remove import remove
from builder.sandbox import linux
from builder.snapshot.probe import boot_id
from cache.digest import Digest
from cache.errors import CacheFault
from cache.filelock import is_locked
from cache.leases import Leases
from cache.store import LEASES

if TYPE_CHECKING:
    import sqlite3

_SCHEMA = (
    """
CREATE TABLE owners (id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL);
CREATE TABLE folders (key TEXT PRIMARY KEY, id TEXT NOT NULL, boot TEXT NOT NULL, used INTEGER NOT NULL);
""",
    """
ALTER TABLE folders ADD COLUMN made INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
""",
)
_SYNCED = ""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHORT = (".stub-", ".trial-")  # names of what lives for a moment
_SETTLED = 600 * 10**9  # ns after which the kernel has long written most of a folder, so that a sync takes little


class Registered(NamedTuple):
    """A folder with its row. made, used: ns since 1970, 0 if not known. uses: how often."""

    id: str
    key: str
    made: int
    used: int
    uses: int

    @property
    def layer(self) -> Digest | None:
        """The diff_id of the one that it is; None for one of several, or of a whole tree."""
        word = self.key.partition(" ")[0]
        return Digest.parse(word) if word.startswith("sha256:") else None


class Registry:
    """store: the store's folder, which must exist. warn: told of damage. Safe for many threads and processes."""

    def __init__(self, store: str, warn: Callable[[str], None]) -> None:
        self.folder = os.path.join(store, "snapshots")
        self._warn = warn
        self._path = os.path.join(store, "snapshots.db")
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._owner = 0
        self._owner_fd = -1
        self._numbers = itertools.count()
        self._leases = Leases(os.path.join(store, LEASES))

    def new_id(self) -> str:
        """A name for a folder of this process, never given before."""
        with self._lock:
            self._open()
            return f"{base36(self._owner)}.{base36(next(self._numbers))}"

    def find(self, key: str) -> str | None:
        """The id registered under a key; it then counts as used."""
        with self._transaction() as db:
            row = db.execute("SELECT id, boot FROM folders WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            if row[1] in (_SYNCED, boot_id()) and os.path.isdir(os.path.join(self.folder, row[0])):
                self._leases.hold(lease(row[0]))
                db.execute("UPDATE folders SET used = ?, uses = uses + 1 WHERE key = ?", (time.time_ns(), key))
                return str(row[0])
            db.execute("DELETE FROM folders WHERE key = ?", (key,))
            return None

    def register(self, key: str, id: str) -> str:
        """Keep a folder under a key; gives the id that is kept, which is another's if that came first."""
        known = self.find(key)
        if known is not None:
            return known
        with self._transaction() as db:
            now = time.time_ns()
            db.execute("INSERT OR IGNORE INTO folders VALUES (?, ?, ?, ?, ?, 1)", (key, id, boot_id(), now, now))
            kept = db.execute("SELECT id FROM folders WHERE key = ?", (key,)).fetchone()
            self._leases.hold(lease(kept[0]))
            return str(kept[0])

    def registered(self) -> list[Registered]:
        """All folders that have a row."""
        with self._transaction() as db:
            return [Registered(*row) for row in db.execute("SELECT id, key, made, used, uses FROM folders ORDER BY id")]

    def evict(self, folders: Iterable[Registered]) -> list[Registered]:
        """Delete those that nobody uses, this process included; gives them."""
        with self._transaction() as db:
            # They are found and registered inside a transaction, too, so a look at the leases is enough.
            gone = [one for one in folders if not self.is_used(one.id)]
            db.executemany("DELETE FROM folders WHERE key = ? AND id = ?", [(one.key, one.id) for one in gone])
        for one in gone:
            self.remove_folder(one.id)
        return gone

    def shrink(self) -> None:
        """Give the space of rows that were deleted back to the disk, if it is much."""
        from cache.sqlite import shrink_database

        with self._lock:
            shrink_database(self._open())

    def problem(self) -> str:
        """What is wrong with the file, all of it looked through; "" if nothing is."""
        import sqlite3

        from cache.sqlite import problem_of

        with self._lock:
            if self._db is not None:
                return problem_of(self._db)
            db = sqlite3.connect(self._path)  # what opening it for use does may fail where it is damaged
            try:
                return problem_of(db)
            finally:
                db.close()

    def begin_anew(self) -> None:
        """Throw a damaged file away: layers are then unpacked again."""
        from cache.sqlite import discard_database

        with self._lock:
            self.close()
            discard_database(self._path)
            self._open()

    def is_used(self, id: str) -> bool:
        """Whether a command uses a registered folder."""
        return lease(id) in self._leases or self._leases.is_held(lease(id))

    def close(self) -> None:
        """Let go of the lock: unregistered folders of this process become garbage."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._owner_fd >= 0:
                os.unlink(self._owner_lock(self._owner))
                os.close(self._owner_fd)
                self._owner_fd = -1
            self._leases.close()

    def remove_folder(self, name: str) -> bool:
        """Delete an entry of the snapshots folder with all that is in it; False if it is not there."""
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(fd, os.fsencode(name))
        except FileNotFoundError:
            return False
        finally:
            os.close(fd)
        return True

    def _tidy(self) -> None:
        """Let what has been on disk for a while count after a reboot too; delete what nobody can use any more.

        That is what killed processes left, and folders of an earlier boot that were never synced.
        """
        boot, before = boot_id(), time.time_ns() - _SETTLED
        with self._transaction() as db:
            owners: dict[int, int] = dict(db.execute("SELECT id, started FROM owners").fetchall())
            names = os.listdir(self.folder)
            # By their locks, not their rows: those are lost with a damaged file, the processes are not.
            alive = {n.removesuffix(".lock") for n in names if n.endswith(".lock") and is_locked(f"{self.folder}/{n}")}
            db.execute("DELETE FROM folders WHERE boot NOT IN (?, ?)", (boot, _SYNCED))
            rows = db.execute("SELECT key, id, boot FROM folders").fetchall()
            # Listed inside the transaction: whoever registers a folder, or becomes an owner, waits for its end.
            known = alive | {id for _, id, _ in rows}
            dead = [name for name in names if _owner_of(name) and not {name, _owner_of(name)} & known]
            settled = [(_SYNCED, key) for key, id, made in rows if made and _started(owners, id) < before]
            gone = [(id,) for id, started in owners.items() if base36(id) not in alive and started < before]
            db.executemany("DELETE FROM owners WHERE id = ?", gone)
        if settled:
            linux.syncfs(self._owner_fd)
            with self._transaction() as db:
                db.executemany("UPDATE folders SET boot = ? WHERE key = ?", settled)
        for name in (*dead, *(name for name in names if name.startswith(_SHORT) and self._is_old(name))):
            self.remove_folder(name)

    def _is_old(self, name: str) -> bool:
        try:
            return time.time_ns() - os.stat(os.path.join(self.folder, name)).st_mtime_ns > _SETTLED
        except FileNotFoundError:
            return False

    def _owner_lock(self, owner: int) -> str:
        return os.path.join(self.folder, base36(owner) + ".lock")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        import sqlite3

        with self._lock:
            db = self._open()
            try:
                db.execute("BEGIN IMMEDIATE")
                with db:
                    yield db
            except sqlite3.Error as error:
                raise CacheFault(
                    f"cannot use {self._path}: {error}", "is the disk full, or the store on a network file system?"
                ) from error

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            import sqlite3

            from cache.sqlite import open_database

            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            try:
                db, problem = open_database(self._path, _SCHEMA)
                self._own(db)
            except sqlite3.Error as error:
                raise CacheFault(f"cannot open {self._path}: {error}") from error
            self._db = db
            if problem:  # It only remembers what can be unpacked again; folders without a row are deleted by _tidy.
                self._warn(f"{self._path} was damaged and is begun anew; layers are unpacked again")
            self._tidy()
        return self._db

    def _own(self, db: sqlite3.Connection) -> None:
        """Become an owner. The lock is taken inside the transaction, so nobody sees a row without it."""
        fd = -1
        try:
            db.execute("BEGIN IMMEDIATE")
            with db:
                owner = self._new_owner(db)
                fd = os.open(self._owner_lock(owner), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                fcntl.flock(fd, fcntl.LOCK_EX)
        except BaseException:
            db.close()
            if fd >= 0:
                os.unlink(self._owner_lock(owner))
                os.close(fd)
            raise
        self._owner, self._owner_fd = owner, fd

    def _new_owner(self, db: sqlite3.Connection) -> int:
        while True:
            cursor = db.execute("INSERT INTO owners (started) VALUES (?)", (time.time_ns(),))
            owner = int(cursor.lastrowid or 0)
            # Numbers start again when the file was rebuilt, names on disk must not.
            if not any(name.startswith(base36(owner) + ".") for name in os.listdir(self.folder)):
                return owner


def lease(id: str) -> Digest:
    """What holds a registered folder."""
    return Digest.of(f"tree {id}".encode())


def base36(number: int) -> str:
    """Short names keep overlay's option string within one page (mount(2))."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text


def _owner_of(name: str) -> str:
    """The owner's part of a folder's name, "" if it is no such name."""
    owner, dot, _ = name.partition(".")
    return owner if dot and owner and not set(owner) - set(_DIGITS) else ""


def _started(owners: dict[int, int], id: str) -> int:
    """When the owner of a folder started, which is before the folder was made."""
    return owners.get(int(_owner_of(id), 36), 0)
