"""Index: what is said where it cannot be written, and deleting by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cache.digest import Digest
from cache.index import Index

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
# A file that may not grow stands for a disk that is full: sqlite is refused a write either way.
FULL = """
import resource, signal, sys
from cache.digest import Digest
from cache.errors import CacheFault
from cache.index import Index
index = Index(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for number in range(1000):
        index.put_result(Digest.of(b"%d" % number), bytes(1000), 1.0)
except CacheFault as fault:
    print(fault.hint)
"""


def test_a_write_that_is_refused_hints_at_the_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "index.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "if the disk is full, lapstrake prune makes room\n"


def test_memos_are_deleted_by_kind_and_name(tmp_path: Path) -> None:
    index = Index(str(tmp_path / "index.db"))
    index.put_memos("a", [(ONE, b"1"), (TWO, b"2")])
    index.put_memo("b", ONE, b"3")
    index.delete_memos("a", [ONE])
    assert index.memos("a") == [b"2"]
    assert index.memo("b", ONE) == b"3"
    index.close()
