from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.source.context import LocalContext
from builder.source.ignore import Ignore, read_patterns
from cache.stats import StatIndex
from tests.builder.source.bruteforce import hidden


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


_NAMES = st.sampled_from(["a", "b", "ab", "c.x"])
_TREES = st.sets(st.lists(_NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=10)
_PIECES = st.sampled_from(["a", "b", "c", "/", "/", "*", "**", "**/", "?", "[ab]", "[^a]", ".x", "\\."])
_RULES = st.lists(
    st.tuples(st.sampled_from(["", "", "!"]), st.lists(_PIECES, min_size=1, max_size=5).map("".join)).map("".join),
    min_size=1,
    max_size=5,
)


@settings(max_examples=300)
@given(_TREES, _RULES)
def test_a_walk_shows_what_asking_for_each_path_does(files: set[str], rules: list[str]) -> None:
    """Though it enters no folder that has nothing to show; the other side is asked of a tree that is walked whole."""
    patterns = tuple(rule for rule in read_patterns("\n".join(rules).encode()) if rule.lstrip("!/") not in ("", "."))
    with tempfile.TemporaryDirectory() as root:
        for name in sorted(files):
            file = Path(root, name)
            if not any(parent.is_file() for parent in file.parents) and not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        paths = [path.relative_to(root) for path in Path(root).rglob("*")]
        kept = {path for path in paths if not hidden(patterns, path.as_posix())}
        folders = {parent for path in kept for parent in path.parents if parent != Path(".")}
        context = LocalContext(root, Ignore(patterns), StatIndex("", os.stat(root).st_dev, 0), 0)
        try:
            shown = [Path(os.fsdecode(entry.path)) for entry in context.walk(b"")]
        finally:
            context.close()
    assert set(shown) == kept | folders
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("exact", [False, True])
def test_modes_that_a_umask_decides(tmp_path: Path, exact: bool) -> None:
    """002 and 022 are the umasks that people have; all other modes were chosen."""
    shown = {0o664: 0o644, 0o775: 0o755}
    for mode in range(0o10000):
        file = tmp_path / f"{mode:04o}"
        file.touch()
        file.chmod(mode)
        folder = tmp_path / f"d{mode:04o}"
        folder.mkdir()
        folder.chmod(mode | 0o700)
    (tmp_path / "link").symlink_to("0664")
    context = LocalContext(str(tmp_path), None, StatIndex("", os.stat(tmp_path).st_dev, 0), 0, exact=exact)
    try:
        found = {name: entry.mode for name in context.names(b"") if (entry := context.lookup(name)) is not None}
    finally:
        context.close()
        for folder in tmp_path.glob("d*"):
            folder.chmod(0o700)
    for mode in range(0o10000):
        assert found[b"%04o" % mode] == (mode if exact else shown.get(mode, mode)), oct(mode)
        kept = mode | 0o700
        assert found[b"d%04o" % mode] == (0o755 if kept == 0o775 and not exact else kept), oct(mode)
    assert found[b"link"] == 0o777


@pytest.mark.parametrize("size", [0, 1, 5, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("change", [-1, 0, 1, 1 << 20])
def test_content_is_what_the_file_holds_when_it_is_read(tmp_path: Path, size: int, change: int) -> None:
    """Also where it is not as long as when the context was walked: who reads it has to notice."""
    (tmp_path / "file").write_bytes(b"x" * size)
    context = LocalContext(str(tmp_path), None, StatIndex("", os.stat(tmp_path).st_dev, 0), 0)
    try:
        assert [entry.size for entry in context.walk(b"")] == [size]
        (tmp_path / "file").write_bytes(data := b"y" * max(size + change, 0))
        pieces = list(context.content(b"file").chunks())
    finally:
        context.close()
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= 1 << 20 for piece in pieces)
    assert len(pieces) <= 4


def test_what_is_packed_is_what_was_hashed(tmp_path: Path) -> None:
    """A small file is read once: who changes it meanwhile changes neither; hashing it again reads it again."""
    file = tmp_path / "file"
    file.write_bytes(b"one")
    context = LocalContext(str(tmp_path), None, StatIndex("", os.stat(tmp_path).st_dev, 0), 0)
    try:
        list(context.walk(b""))
        assert context.digest(b"file") == hashlib.sha256(b"one").hexdigest()
        file.write_bytes(b"two")
        assert b"".join(context.content(b"file").chunks()) == b"one"
        assert b"".join(context.content(b"file").chunks()) == b"two"
        assert context.digest(b"file") == hashlib.sha256(b"two").hexdigest()
        file.write_bytes(b"six")
        assert context.digest(b"file") == hashlib.sha256(b"six").hexdigest()
        assert b"".join(context.content(b"file").chunks()) == b"six"
    finally:
        context.close()
