from __future__ import annotations

import os
import stat

import pytest

from builder.errors import OutputFault
from builder.export.local import LocalExporter
from builder.layer.entry import BytesContent, Entry, Kind


def file(path, data=b"new", mode=0o644):
    entry = Entry(path=path, kind=Kind.FILE, mode=mode, uid=123, gid=456, mtime=1000, size=len(data))
    return entry, BytesContent(data)


def folder(path, mode=0o755):
    return Entry(path=path, kind=Kind.DIR, mode=mode, uid=123, mtime=1000), None


def export(dest, *items, warn=None):
    exporter = LocalExporter(str(dest), lambda: iter(items), warn)
    exporter.check()
    exporter.write(None, ())


def test_files_are_written_and_belong_to_the_user(tmp_path):
    dest = tmp_path / "made" / "here"
    link = (Entry(path=b"l", kind=Kind.SYMLINK, link=b"/etc"), None)
    same = (Entry(path=b"d/same", kind=Kind.HARDLINK, link=b"d/f"), None)
    export(dest, folder(b""), folder(b"d", 0o711), file(b"d/f", mode=0o750), same, link)
    status = (dest / "d" / "f").stat()
    assert (dest / "d" / "f").read_bytes() == b"new"
    assert (status.st_uid, status.st_gid, status.st_mtime) == (os.geteuid(), os.getegid(), 1000)
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert (dest / "d" / "same").stat().st_ino == status.st_ino
    assert os.readlink(dest / "l") == "/etc"


def test_existing_files_are_overwritten_and_others_stay(tmp_path):
    dest = tmp_path / "out"
    (dest / "d").mkdir(parents=True)
    (dest / "d" / "f").write_bytes(b"old and longer")
    (dest / "d" / "other").write_bytes(b"other")
    export(dest, folder(b"d"), file(b"d/f"))
    assert (dest / "d" / "f").read_bytes() == b"new"
    assert (dest / "d" / "other").read_bytes() == b"other"


def test_links_in_the_destination_are_not_followed(tmp_path):
    dest, outside = tmp_path / "out", tmp_path / "outside"
    dest.mkdir()
    outside.mkdir()
    (outside / "f").write_bytes(b"precious")
    (dest / "d").symlink_to(outside)
    (dest / "g").symlink_to(outside / "f")
    export(dest, folder(b"d"), file(b"d/f"), file(b"g"))
    assert (outside / "f").read_bytes() == b"precious"
    assert (dest / "d" / "f").read_bytes() == b"new"
    assert (dest / "g").read_bytes() == b"new"
    assert not (dest / "g").is_symlink()


@pytest.mark.parametrize("path", [b"../escaped", b"/escaped", b"a/../../escaped"])
def test_a_tree_that_leaves_its_root_is_refused(tmp_path, path):
    with pytest.raises(OutputFault, match="outside of its root"):
        export(tmp_path / "out", file(path))
    assert not (tmp_path / "escaped").exists()


def test_a_link_in_the_tree_leads_nowhere(tmp_path):
    link = (Entry(path=b"l", kind=Kind.SYMLINK, link=str(tmp_path).encode()), None)
    with pytest.raises(OutputFault):
        export(tmp_path / "out", link, file(b"l/escaped"))
    assert not (tmp_path / "escaped").exists()


def test_device_nodes_are_left_out_and_said(tmp_path):
    said = []
    export(tmp_path / "out", (Entry(path=b"null", kind=Kind.CHAR, device=(1, 3), mode=0o666), None), warn=said.append)
    assert os.listdir(tmp_path / "out") == []
    assert "1 device nodes were left out" in said[0]


def test_stdout_is_no_folder(tmp_path):
    with pytest.raises(OutputFault, match="dest cannot be stdout for local exporter"):
        export("-")


def mirror(dest, *items, allow=frozenset({"buildx.local.delete"})):
    exporter = LocalExporter(str(dest), lambda: iter(items), None, delete=True, allow=allow)
    exporter.check()
    exporter.write(None, ())


def test_what_the_result_has_not_is_deleted_on_demand(tmp_path):
    dest, outside = tmp_path / "out", tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    (dest / "d" / "old" / "deep").mkdir(parents=True)
    (dest / "d" / "old" / "deep" / "f").write_bytes(b"old")
    (dest / "d" / "f").write_bytes(b"old")
    (dest / ".hidden").write_bytes(b"old")
    (dest / "gone").symlink_to(outside)
    (dest / "link").symlink_to(outside)
    os.mkfifo(dest / "d" / "fifo")
    mirror(dest, folder(b""), folder(b"d"), file(b"d/f"), folder(b"e"), folder(b"link"))
    assert sorted(str(path.relative_to(dest)) for path in dest.rglob("*")) == ["d", "d/f", "e", "link"]
    assert (dest / "d" / "f").read_bytes() == b"new"
    assert (outside / "kept").is_dir()


def test_deleting_needs_leave_but_below_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "here" / "below").mkdir(parents=True)
    (tmp_path / "here" / "out").symlink_to(tmp_path)
    (tmp_path / "precious").write_bytes(b"")
    monkeypatch.chdir(tmp_path / "here")
    for dest in (".", "..", "out", "out/other", "below/..", str(tmp_path), f"{tmp_path}/hereafter"):
        with pytest.raises(OutputFault, match=r"requires --allow=buildx\.local\.delete"):
            mirror(dest, file(b"f"), allow=frozenset())
    mirror("below", file(b"f"), allow=frozenset())
    mirror(f"{tmp_path}/here/new/deep", file(b"f"), allow=frozenset())
    assert (tmp_path / "precious").exists()
    assert not (tmp_path / "here" / "f").exists()
