"""Locks by key: exclusive, in the order of time, gone with their process, and without a trace."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cache.digest import Digest
from cache.keylocks import KeyLocks
from cache.store import Store

KEY, OTHER = Digest.of(b"key"), Digest.of(b"other")


def never() -> None:
    raise AssertionError("nobody has it")


def test_a_lock_is_had_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = KeyLocks(str(tmp_path)), KeyLocks(str(tmp_path))
    waits, had = threading.Event(), threading.Event()

    def wait() -> None:
        lock = second.take(KEY, waits.set)
        assert lock is not None
        with lock:
            had.set()

    lock = first.take(KEY, never)
    assert lock is not None
    thread = threading.Thread(target=wait)
    with lock:
        other = second.take(OTHER, never)
        assert other is not None
        with other:
            thread.start()
            assert waits.wait(20)
            assert not had.is_set()
    assert had.wait(20)
    thread.join(20)
    assert os.listdir(tmp_path) == []


def test_who_waits_can_be_called_off(tmp_path: Path) -> None:
    locks = KeyLocks(str(tmp_path))
    waits = threading.Event()
    given: list[object] = []
    lock = locks.take(KEY, never)
    assert lock is not None
    thread = threading.Thread(target=lambda: given.append(locks.take(KEY, waits.set)))
    with lock:
        thread.start()
        assert waits.wait(20)
        locks.cancel()
        thread.join(20)
        assert given == [None]
        assert locks.take(KEY, lambda: None) is None  # later, too
    after = KeyLocks(str(tmp_path)).take(KEY, lambda: None)  # the thread left behind lets go at once
    assert after is not None
    with after:
        pass


def test_many_in_turn(tmp_path: Path) -> None:
    """Counted without a lock of their own: two holders at a time would lose a count."""
    counts = {KEY: 0, OTHER: 0}

    def work(seed: int) -> None:
        locks, choose = KeyLocks(str(tmp_path)), random.Random(seed)
        for _ in range(100):
            key = choose.choice((KEY, OTHER))
            lock = locks.take(key, lambda: None)
            assert lock is not None
            with lock:
                before = counts[key]
                if choose.random() < 0.3:
                    threading.Event().wait(0.0005)
                counts[key] = before + 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts.values()) == 600
    assert os.listdir(tmp_path) == []


def test_a_killed_holder_keeps_nobody_waiting(tmp_path: Path) -> None:
    code = (
        "import sys, time; from cache.keylocks import KeyLocks; from cache.digest import Digest\n"
        "lock = KeyLocks(sys.argv[1]).take(Digest.of(b'key'), lambda: None)\n"
        "print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    lock = KeyLocks(str(tmp_path)).take(KEY, holder.kill)
    assert lock is not None
    with lock:
        pass
    holder.communicate()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("age", [0, 3600])
def test_the_store_tidies_what_the_killed_left(tmp_path: Path, age: int) -> None:
    store = Store(str(tmp_path / "store"))
    path = Path(store.path("running", KEY.hex))
    path.touch()
    held = KeyLocks(store.path("running")).take(OTHER, never)
    assert held is not None
    with held:
        os.utime(store.path("running", OTHER.hex), (0, 0))
        os.utime(path, (path.stat().st_mtime - age, path.stat().st_mtime - age))
        store.tidy()
        left = set(os.listdir(store.path("running")))
    assert left == {OTHER.hex} | (set() if age else {KEY.hex})
