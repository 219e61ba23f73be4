from __future__ import annotations

import tarfile

import pytest

from builder.errors import LayerFault
from builder.export.tar import TarExporter
from builder.export.target import Target
from builder.layer.entry import BytesContent, Entry, Kind

TREE = [
    (Entry(path=b"", kind=Kind.DIR, mode=0o755), None),
    (Entry(path=b"big", kind=Kind.FILE, mode=0o4755, uid=7, size=3 << 20), BytesContent(b"b" * (3 << 20))),
    (Entry(path=b"dir", kind=Kind.DIR, mode=0o700, mtime=5), None),
    (Entry(path=b"dir/.wh.plain", kind=Kind.FILE, mode=0o644, size=0), BytesContent(b"")),
    (Entry(path=b"dir/link", kind=Kind.SYMLINK, link=b"../big"), None),
    (Entry(path=b"dir/same", kind=Kind.HARDLINK, link=b"big"), None),
]


def test_the_tree_as_a_tar(tmp_path, make_image):
    path = tmp_path / "out.tar"
    TarExporter(Target(str(path), "tar"), lambda: iter(TREE)).write(make_image(), ())
    with tarfile.open(path) as archive:
        assert archive.getnames()[1:] == ["big", "dir", "dir/.wh.plain", "dir/link", "dir/same"]
        big = archive.getmember("big")
        assert (big.mode, big.uid, big.size) == (0o4755, 7, 3 << 20)
        assert archive.extractfile("dir/same").read() == b"b" * (3 << 20)


def test_a_tree_that_breaks_off_leaves_the_old_file(tmp_path, make_image):
    path = tmp_path / "out.tar"
    path.write_bytes(b"old")

    def broken():
        yield TREE[0]
        raise LayerFault("broken")

    with pytest.raises(LayerFault):
        TarExporter(Target(str(path), "tar"), broken).write(make_image(), ())
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tar", "store"]
