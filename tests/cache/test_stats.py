"""StatIndex: trusts only what cannot have changed unseen."""

import os
from types import SimpleNamespace

import pytest

from cache.stats import StatIndex

HEX = "0" * 64


def _index(tmp_path, now):
    return StatIndex(str(tmp_path / "index"), os.stat(tmp_path).st_dev, now)


def _file(tmp_path, age=10):
    path = tmp_path / "file"
    path.write_bytes(b"data")
    return path, os.stat(path)


def test_remembers_what_is_old_enough(tmp_path):
    _path, stat = _file(tmp_path)
    later = max(stat.st_ctime_ns, stat.st_mtime_ns) + 10**10
    index = _index(tmp_path, later)
    index.put(b"file", stat, HEX, ((b"user.a", b"1"),))
    index.save(str(tmp_path / "temp"))
    again = _index(tmp_path, later)
    known = again.get(b"file", stat)
    assert known is not None
    assert known[4] == HEX
    assert known[5] == ((b"user.a", b"1"),)
    assert again.get(b"other", stat) is None


def test_racy_file_is_not_recorded(tmp_path):
    _, stat = _file(tmp_path)
    index = _index(tmp_path, stat.st_ctime_ns + 1)
    index.put(b"file", stat, HEX, ())
    index.save(str(tmp_path / "temp"))
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(("ctime", "recorded"), [(5_000_000_000, False), (5_000_000_001, True)])
def test_times_in_whole_seconds_may_hide_a_change_for_longer(tmp_path, ctime, recorded):
    stat = SimpleNamespace(
        st_ino=1, st_size=1, st_mtime_ns=ctime, st_ctime_ns=ctime, st_dev=os.stat(tmp_path).st_dev
    )  # fmt: skip
    index = _index(tmp_path, ctime + 1_000_000_000)
    index.put(b"file", stat, HEX, ())
    index.save(str(tmp_path / "temp"))
    assert (tmp_path / "index").exists() is recorded


def test_every_change_is_seen(tmp_path):
    path, stat = _file(tmp_path)
    later = stat.st_ctime_ns + 10**10
    index = _index(tmp_path, later)
    index.put(b"file", stat, HEX, ())
    index.save(str(tmp_path / "temp"))
    index = _index(tmp_path, later)
    os.chmod(path, 0o600 if stat.st_mode & 0o077 else 0o644)  # ctime alone moves
    assert index.get(b"file", os.stat(path)) is None
    path.unlink()
    path.write_bytes(b"atad")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert index.get(b"file", os.stat(path)) is None


def test_damaged_index_is_as_none(tmp_path):
    _, stat = _file(tmp_path)
    for data in (b"", b"\xff\x00", b"\x93\x01\x02\x80" * 3):
        (tmp_path / "index").write_bytes(data)
        assert _index(tmp_path, 0).get(b"file", stat) is None
