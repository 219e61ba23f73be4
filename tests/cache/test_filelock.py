from __future__ import annotations

import os

from cache.filelock import is_locked, locked


def test_a_lock_is_seen_as_long_as_it_lasts(tmp_path):
    path = str(tmp_path / "lock")
    assert not is_locked(path)
    assert not os.path.exists(path)
    for shared in (False, True):
        with locked(path, shared=shared) as fd:
            assert os.path.samestat(os.fstat(fd), os.stat(path))
            assert is_locked(path)
        assert not is_locked(path)


def test_shared_locks_do_not_wait_for_each_other(tmp_path):
    path = str(tmp_path / "lock")
    with locked(path, shared=True), locked(path, shared=True):
        assert is_locked(path)
    assert not is_locked(path)
