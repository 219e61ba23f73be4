from __future__ import annotations

import pytest

from builder.errors import LayerFault
from builder.layer.entry import Entry, Kind
from builder.layer.whiteout import from_oci, opaque_xattr, to_oci


def _file(path: bytes) -> Entry:
    return Entry(path=path, kind=Kind.FILE)


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        (Kind.WHITEOUT, b"a/b", b"a/.wh.b"),
        (Kind.WHITEOUT, b"b", b".wh.b"),
        (Kind.OPAQUE, b"a/b", b"a/b/.wh..wh..opq"),
        (Kind.OPAQUE, b"", b".wh..wh..opq"),
    ],
)
def test_marks_there_and_back(kind: Kind, path: bytes, name: bytes) -> None:
    mark = Entry(path=path, kind=kind)
    assert to_oci(mark) == _file(name)
    assert list(from_oci([(_file(name), None)])) == [(mark, None)]


def test_other_members_pass() -> None:
    for path in (b"a/b", b"x.wh.y", b".whatever"):
        assert to_oci(_file(path)) == _file(path)
        assert list(from_oci([(_file(path), None)])) == [(_file(path), None)]


def test_a_file_that_would_read_as_a_mark_cannot_be_packed() -> None:
    with pytest.raises(LayerFault, match=r"\.wh\."):
        to_oci(_file(b"a/.wh.x"))


@pytest.mark.parametrize("name", [b".wh.", b"a/.wh..", b"a/.wh...", b".wh.d/file"])
def test_marks_that_name_nothing(name: bytes) -> None:
    with pytest.raises(LayerFault, match="whiteout"):
        list(from_oci([(_file(name), None)]))


def test_old_aufs_files_are_dropped() -> None:
    names = [b".wh..wh.aufs", b".wh..wh.plnk", b".wh..wh.plnk/1.2"]
    assert list(from_oci([(_file(name), None) for name in names])) == []


def test_overlay_form_in_an_archive_is_a_whiteout() -> None:
    device = Entry(path=b"a", kind=Kind.CHAR, device=(0, 0))
    assert list(from_oci([(device, None)])) == [(Entry(path=b"a", kind=Kind.WHITEOUT), None)]


def test_opaque_names() -> None:
    assert opaque_xattr(True) == b"user.overlay.opaque"
    assert opaque_xattr(False) == b"trusted.overlay.opaque"
