"""Opening one file from many processes at once, and files that are no databases."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cache.sqlite import open_database

PROGRAM = """
import sys
from cache.digest import Digest
from cache.store import Store
from builder.snapshot.registry import Registry
root, go = sys.argv[1:]
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.read()
store = Store(root)
store.index.put_result(Digest.of(go.encode()), b"x", 1.0)
assert store.index.result(Digest.of(go.encode())) == b"x"
assert not store.index.rebuilt, store.index.rebuilt
problems = []
registry = Registry(root, problems.append)
registry.new_id()
assert not problems, problems
registry.close()
store.close()
"""


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    for turn in range(5):
        root = tmp_path / str(turn)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(root), str(n)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for n in range(6)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        ends = [child.wait() for child in children]
        assert ends == [0] * 6, [child.stderr.read() for child in children if child.stderr is not None]


def test_a_version_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        open_database(path, ["CREATE TABLE a (n)\nCREATE TABLE a (n)"])
    db, problem = open_database(path, ["CREATE TABLE a (n)"])
    assert (db.execute("SELECT * FROM a").fetchall(), problem) == ([], "")
    db.close()
