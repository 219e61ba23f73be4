"""Store and Index: versions, damage, owners, locks."""

import os
import sqlite3

import pytest

from cache.digest import Digest
from cache.errors import CacheFault, StoreTooNew
from cache.index import USED_WITHIN, Index
from cache.store import BALLAST, Store

KEY = Digest.of(b"key")


def test_store_is_private_and_reopens(tmp_path):
    root = tmp_path / "a" / "b"
    store = Store(str(root))
    store.index.put_result(KEY, b"record", 1.0)
    store.index.put_memo("kind", KEY, b"value")
    store.close()
    assert os.stat(root).st_mode & 0o077 == 0
    again = Store(str(root))
    assert again.index.result(KEY) == b"record"
    assert again.index.memo("kind", KEY) == b"value"
    assert again.index.memo("other", KEY) is None
    again.index.delete_results([KEY])
    again.index.forget_memos(["kind"])
    assert again.index.result(KEY) is None


@pytest.mark.root  # nobody else can give a folder away
def test_a_store_of_another_user_is_refused(tmp_path):
    root = tmp_path / "theirs"
    root.mkdir()
    os.chown(root, 12345, 12345)
    with pytest.raises(CacheFault, match="belongs to uid 12345, not to you"):
        Store(str(root))
    assert os.listdir(root) == []


def test_newer_store_is_refused(tmp_path):
    path = str(tmp_path / "index.db")
    Index(path).close()
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version + 1}")
    db.close()
    with pytest.raises(StoreTooNew, match="newer lapstrake"):
        Index(path)


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_damaged_index_is_set_aside_and_said(tmp_path, damage):
    path = tmp_path / "index.db"
    path.write_bytes(damage)
    index = Index(str(path))
    assert "damaged" in index.rebuilt
    assert (tmp_path / "index.db.damaged").read_bytes() == damage
    index.put_result(KEY, b"r", 0.0)
    assert index.result(KEY) == b"r"


def test_what_is_asked_for_while_a_store_is_used_is_held(tmp_path):
    store, other = Store(str(tmp_path)), Store(str(tmp_path))
    digest, _ = store.blobs.put(b"x")
    with store.using():
        with store.using():
            assert not other.leases.is_held(digest)
        assert store.blobs.has(digest)
        written, _ = store.blobs.put(b"y")
        for held in (digest, written):
            assert other.leases.is_held(held)
            with store.alone([held]) as mine:  # by this very process, too
                assert mine == set()
    with store.alone([digest, written]) as mine:
        assert mine == {digest, written}


def test_an_index_of_the_first_version_is_brought_up(tmp_path):
    path = str(tmp_path / "index.db")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE results (key TEXT PRIMARY KEY, record BLOB NOT NULL, used REAL NOT NULL) WITHOUT ROWID")
    db.execute("CREATE TABLE memos (kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID")
    db.execute("INSERT INTO results VALUES (?, ?, ?)", (KEY.hex, b"old", 5.0))
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    index = Index(path)
    index.touch_results([KEY], 6000.0)
    assert index.filed() == [(KEY, b"old", 6000.0, 0.0, 1, "")]
    index.put_result(KEY, b"new", 7.0, "a step")
    assert index.filed() == [(KEY, b"new", 7.0, 7.0, 1, "a step")]
    assert index.rebuilt == ""


def test_store_under_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheFault, match="cannot be used"):
        Store(str(tmp_path / "file" / "store"))


def test_tidy_takes_what_the_dead_left_and_nothing_else(tmp_path):
    store = Store(str(tmp_path))
    left, new = tmp_path / "tmp" / "left", tmp_path / "tmp" / "new"
    left.write_bytes(b"x")
    os.utime(left, (1, 1))
    new.write_bytes(b"x")
    (tmp_path / "tmp" / "folder").mkdir()
    with store.blobs.writer() as writer:
        writer.write(b"living")
        [written] = {path.name for path in (tmp_path / "tmp").iterdir()} - {"left", "new", "folder"}
        os.utime(tmp_path / "tmp" / written, (1, 1))
        opened = os.listdir("/proc/self/fd")
        store.tidy()
        assert os.listdir("/proc/self/fd") == opened
        assert {path.name for path in (tmp_path / "tmp").iterdir()} == {written, "new", "folder"}
        digest, _ = writer.commit()
    assert store.blobs.read(digest) == b"living"
    store.close()


def _used(index: Index) -> float:
    return float(index._ask("SELECT used FROM results WHERE key = ?", KEY.hex)[0][0])


def test_a_use_shortly_after_the_last_one_is_not_written(tmp_path):
    index = Index(str(tmp_path / "index.db"))
    index.put_result(KEY, b"record", 1000.0)
    index.touch_results([KEY], 1000.0 + USED_WITHIN - 1)
    assert _used(index) == 1000.0
    index.touch_results([KEY], 1000.0 + USED_WITHIN + 1)
    assert _used(index) == 1001.0 + USED_WITHIN


def test_a_database_that_lost_most_of_its_rows_gets_smaller(tmp_path):
    path = tmp_path / "index.db"
    index = Index(str(path))
    index.put_memos("kind", [(Digest.of(b"%d" % n), b"x" * 2000) for n in range(500)])
    index.shrink()
    index.close()
    size = path.stat().st_size
    index = Index(str(path))
    index.forget_memos(["kind"])
    reader = Index(str(path))  # another process has it open, too
    index.shrink()
    assert reader.memos("kind") == []
    index.close()
    assert path.stat().st_size < size // 4


def test_ballast_is_there_once_and_leaves_nothing_open(tmp_path):
    store = Store(str(tmp_path))
    opened = os.listdir("/proc/self/fd")
    store.load_ballast()
    store.load_ballast()
    assert os.listdir("/proc/self/fd") == opened
    assert os.listdir(tmp_path / "tmp") == []
    assert (tmp_path / "ballast").stat().st_size == BALLAST
    store.close()
