from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from builder.errors import LayerFault
from builder.layer.changes import upper_changes
from builder.layer.entry import Entry, Kind
from builder.layer.remove import remove

_needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, 0)


def _upper(tmp_path: Path) -> Path:
    """A tree with marks in the form that an ordinary user's overlay has."""
    upper = tmp_path / "upper"
    (upper / "b").mkdir(parents=True)
    (upper / "b" / "new").write_text("n")
    (upper / "b-c").write_text("after b/ in order of names, before it in order of paths")
    (upper / "a").write_text("a")
    _whiteout(upper / "zz-gone")
    _whiteout(upper / "b" / "gone")
    os.setxattr(upper / "b", "user.overlay.opaque", b"y")
    os.setxattr(upper / "b", "user.overlay.origin", b"\0\1")
    os.setxattr(upper / "a", "user.kept", b"1")
    os.setxattr(upper / "a", "user.overlay.impure", b"y")
    return upper


def test_the_order_of_members(tmp_path: Path) -> None:
    found = [(entry.kind, entry.path) for entry, _ in upper_changes(str(_upper(tmp_path)), True)]
    assert found == [
        (Kind.WHITEOUT, b"zz-gone"),
        (Kind.FILE, b"a"),
        (Kind.DIR, b"b"),
        (Kind.OPAQUE, b"b"),
        (Kind.WHITEOUT, b"b/gone"),
        (Kind.FILE, b"b/new"),
        (Kind.FILE, b"b-c"),
    ]


def test_marks_of_overlay_are_not_attributes_of_the_image(tmp_path: Path) -> None:
    by_path = {e.path: e for e, _ in upper_changes(str(_upper(tmp_path)), True) if e.kind is not Kind.OPAQUE}
    assert by_path[b"a"].xattrs == ((b"user.kept", b"1"),)
    assert by_path[b"b"].xattrs == ()


def test_an_opaque_folder_that_hides_nothing_has_no_mark(tmp_path: Path) -> None:
    upper = str(_upper(tmp_path))
    asked: list[bytes] = []

    def hides(path: bytes) -> bool:
        asked.append(path)
        return False

    assert Kind.OPAQUE not in [e.kind for e, _ in upper_changes(upper, True, hides=hides)]
    assert asked == [b"b"]
    assert Kind.OPAQUE not in [e.kind for e, _ in upper_changes(upper, False)]


def test_content_and_links(nasty: Path, kit: Any) -> None:
    found = {e.path: (e, data) for e, data in kit.listed(upper_changes(str(nasty), False))}
    assert found[b"dir/three"][1] == b"linked"
    assert [found[p][0].link for p in (b"one", b"two")] == [b"dir/three", b"dir/three"]
    assert found[b"sparse"][1] == (nasty / "sparse").read_bytes()
    assert (found[b"dir/setuid"][0].mode, found[b"dir/empty"][0].mode) == (0o4755, 0o1777)
    assert found[b"old"][0].mtime == -5
    assert b"socket" not in found


@_needs_root
def test_what_only_root_can_make(nasty: Path, kit: Any) -> None:
    found = {e.path: e for e, _ in upper_changes(str(nasty), False)}
    assert (found[b"block"].kind, found[b"block"].device) == (Kind.BLOCK, (7, 300))
    assert found[b"capable"].xattrs == ((b"security.capability", kit.capability),)
    assert found[b"plain"].xattrs == ()
    assert (found[b"owned"].uid, found[b"owned"].gid, found[b"owned"].mode) == (3_000_000, 4_000_000, 0o4711)


def test_the_root_is_a_member_only_if_it_changed(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    upper.chmod(0o755)
    before = Entry(path=b"", kind=Kind.DIR, mode=0o755, uid=os.getuid(), gid=upper.stat().st_gid)
    assert list(upper_changes(str(upper), True, root=before)) == []
    upper.chmod(0o700)
    ((entry, _),) = upper_changes(str(upper), True, root=before)
    assert (entry.path, entry.kind, entry.mode) == (b"", Kind.DIR, 0o700)
    assert list(upper_changes(str(upper), True)) == []


@pytest.mark.parametrize("mark", ["redirect", "metacopy"])
def test_what_other_overlay_options_leave_is_refused(tmp_path: Path, mark: str) -> None:
    upper = tmp_path / "upper"
    (upper / "d").mkdir(parents=True)
    os.setxattr(upper / "d", f"user.overlay.{mark}", b"/elsewhere")
    with pytest.raises(LayerFault, match=mark):
        list(upper_changes(str(upper), True))


def test_a_tree_deeper_than_the_limit_of_open_files(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    depth = 1500
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    try:
        found = [(entry, b"".join(c.chunks()) if c else b"") for entry, c in upper_changes(str(tmp_path), True)]
        assert len(found) == depth + 1
        assert found[-1][0].path == b"d/" * depth + b"file"
    finally:  # pytest's own removal of old folders is recursive and would fail
        root = os.open(tmp_path, os.O_RDONLY)
        remove(root, b"d")
        os.close(root)


def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    upper = tmp_path / "upper"
    (upper / "d").mkdir(parents=True)
    stream = upper_changes(str(upper), True)
    assert next(stream)[0].path == b"d"
    (upper / "d").rmdir()
    (upper / "d").symlink_to("../outside")
    with pytest.raises(OSError, match=r"directory|symbolic"):
        next(stream)
