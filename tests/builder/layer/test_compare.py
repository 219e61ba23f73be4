from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from builder.layer.compare import tree_changes
from builder.layer.entry import Kind
from builder.layer.unpack import apply_plain
from builder.snapshot.copytree import copy_tree


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, int]:
    before, after = tmp_path / "before", tmp_path / "after"
    for path in ("a/b/c", "kept/x"):
        (before / path).mkdir(parents=True)
    for path in ("a/f", "a/b/g", "kept/x/y", "same"):
        (before / path).write_text(path)
    os.link(before / "same", before / "same2")
    (before / "link").symlink_to("same")
    after.mkdir()
    copy_tree(str(before), str(after))
    os.chmod(after, 0o755)
    return before, after, os.stat(after).st_ctime_ns


def _changes(pair: tuple[Path, Path, int], whole: bool = False) -> list[tuple[Kind, bytes]]:
    before, after, since = pair
    return [(e.kind, e.path) for e, _ in tree_changes(str(before), str(after), 0 if whole else since)]


@pytest.mark.parametrize("whole", [False, True])
def test_a_copy_has_no_changes(pair: tuple[Path, Path, int], whole: bool) -> None:
    assert _changes(pair, whole) == []


def test_new_changed_and_deleted(pair: tuple[Path, Path, int]) -> None:
    after = pair[1]
    (after / "a" / "b" / "g").write_text("changed")
    (after / "a" / "new").write_text("n")
    (after / "same").unlink()
    (after / "link").unlink()
    (after / "link").symlink_to("other")
    assert _changes(pair) == [
        (Kind.WHITEOUT, b"same"),
        (Kind.DIR, b"a"),
        (Kind.DIR, b"a/b"),
        (Kind.FILE, b"a/b/g"),
        (Kind.FILE, b"a/new"),
        (Kind.SYMLINK, b"link"),
    ]


def test_a_change_that_hides_itself_is_found(pair: tuple[Path, Path, int]) -> None:
    path = pair[1] / "kept/x/y"
    st = path.stat()
    path.write_text("KEPT/X/Y")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    assert _changes(pair) == [(Kind.DIR, b"kept"), (Kind.DIR, b"kept/x"), (Kind.FILE, b"kept/x/y")]


def test_touched_and_put_back_is_no_change(pair: tuple[Path, Path, int]) -> None:
    path = pair[1] / "kept/x/y"
    st = path.stat()
    path.chmod(0o600)
    path.chmod(st.st_mode & 0o7777)
    assert _changes(pair) == []


@pytest.mark.parametrize("what", ["mode", "xattr", "time"])
def test_metadata(pair: tuple[Path, Path, int], what: str) -> None:
    path = pair[1] / "a/b"
    if what == "mode":
        path.chmod(0o700)
    elif what == "xattr":
        os.setxattr(path, "user.x", b"1")
    else:
        os.utime(path, (1, 1))
    assert _changes(pair) == [(Kind.DIR, b"a"), (Kind.DIR, b"a/b")]


def test_a_new_name_of_an_old_file_brings_both(pair: tuple[Path, Path, int]) -> None:
    os.link(pair[1] / "a/f", pair[1] / "z")
    found = [e for e, _ in tree_changes(str(pair[0]), str(pair[1]), pair[2])]
    assert [(e.kind, e.path, e.link) for e in found if e.kind is not Kind.DIR] == [
        (Kind.FILE, b"a/f", b""),
        (Kind.HARDLINK, b"z", b"a/f"),
    ]


def test_changes_of_type(pair: tuple[Path, Path, int]) -> None:
    after = pair[1]
    (after / "link").unlink()
    (after / "link").mkdir()
    (after / "link" / "in").write_text("")
    (after / "kept/x/y").unlink()
    (after / "kept/x").rmdir()
    (after / "kept/x").write_text("now a file")
    kinds = {path: kind for kind, path in _changes(pair)}
    assert kinds == {b"link": Kind.DIR, b"link/in": Kind.FILE, b"kept": Kind.DIR, b"kept/x": Kind.FILE}


def test_the_changes_make_the_one_from_the_other(nasty: Path, tmp_path: Path, kit: Any) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    out.mkdir()
    fd = os.open(out, os.O_RDONLY)
    apply_plain(tree_changes(str(empty), str(nasty)), fd)
    assert kit.read_tree(out) == kit.read_tree(nasty)
    apply_plain(tree_changes(str(nasty), str(empty)), fd)
    os.close(fd)
    assert os.listdir(out) == []
