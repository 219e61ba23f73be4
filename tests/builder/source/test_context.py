from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.source.context import LocalContext
from builder.source.ignore import Ignore, read_patterns
from cache.stats import StatIndex


def walked(root: Path, rules: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], set[bytes]]:
    """What a walk shows, and the folders that were opened for it."""
    opened: set[bytes] = set()
    plain = LocalContext._folder

    def folder(self: LocalContext, path: bytes) -> int:
        opened.add(path)
        return plain(self, path)

    monkeypatch.setattr(LocalContext, "_folder", folder)
    stats = StatIndex("", os.stat(root).st_dev, 0)
    context = LocalContext(str(root), Ignore(read_patterns(rules.encode())), stats, 0)
    try:
        return [entry.path for entry in context.walk(b"")], opened
    finally:
        context.close()


@pytest.mark.parametrize(
    ("rules", "shown", "entered"),
    [
        ("deps\n", [b"src", b"src/a"], False),
        ("**/deps\n!src\n!src/*\n", [b"src", b"src/a"], False),
        ("*\n!src\n", [b"src", b"src/a"], False),
        ("deps\n!deps/x/keep\n", [b"deps", b"deps/x", b"deps/x/keep", b"src", b"src/a"], True),
    ],
)
def test_a_folder_that_shows_nothing_is_not_entered(
    rules: str, shown: list[bytes], entered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("src/a", "deps/x/keep", "deps/x/y/z", "deps/b"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    found, opened = walked(tmp_path, rules, monkeypatch)
    assert found == shown
    assert (b"deps" in opened) is entered
    assert b"deps/x/y" not in opened
