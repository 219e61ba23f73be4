from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from builder.errors import LayerFault
from builder.layer.changes import upper_changes
from builder.layer.codec import codec
from builder.layer.entry import BytesContent, Entry, Item, Kind
from builder.layer.pack import pack, tar_chunks
from builder.layer.tarread import TarReader
from builder.layer.unpack import Unpacked, apply, apply_plain
from builder.layer.whiteout import from_oci

_ROOT = os.geteuid() == 0
_BOTH = pytest.mark.parametrize("form", ["overlay", "plain"])


def _write(root: Path, items: Iterable[Item], form: str = "overlay", **options: Any) -> Unpacked:
    root.mkdir(exist_ok=True)
    fd = os.open(root, os.O_RDONLY)
    try:
        if form == "overlay":
            return apply(items, fd, userxattr=True, **options)
        return apply_plain(items, fd, **options)
    finally:
        os.close(fd)


def _file(path: bytes, data: bytes = b"x", **fields: Any) -> Item:
    mine = {"uid": os.getuid(), "gid": os.getgid(), "mode": 0o644} | fields
    return Entry(path=path, kind=Kind.FILE, size=len(data), **mine), BytesContent(data)


def _dir(path: bytes, mode: int = 0o755) -> Item:
    return Entry(path=path, kind=Kind.DIR, mode=mode, uid=os.getuid(), gid=os.getgid(), mtime=1000), None


def _mark(kind: Kind, path: bytes, **fields: Any) -> Item:
    return Entry(path=path, kind=kind, **fields), None


@_BOTH
@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_nasty_tree_comes_back_under_any_umask(nasty: Path, tmp_path: Path, kit: Any, form: str, umask: int) -> None:
    archive = b"".join(tar_chunks(upper_changes(str(nasty), False)))
    before = os.umask(umask)
    try:
        done = _write(tmp_path / "out", from_oci(TarReader(io.BytesIO(archive))), form)
    finally:
        os.umask(before)
    assert done.warnings() == ()
    assert kit.read_tree(tmp_path / "out") == kit.read_tree(nasty)


@_BOTH
@pytest.mark.parametrize("path", [b"../x", b"/x", b"a/../../x", b".."])
def test_paths_that_leave_the_root(tmp_path: Path, form: str, path: bytes) -> None:
    for item in (_file(path), _dir(path), _mark(Kind.WHITEOUT, path), _mark(Kind.OPAQUE, path)):
        with pytest.raises(LayerFault, match="outside"):
            _write(tmp_path / "out", [item], form)
    assert not (tmp_path / "x").exists()


@_BOTH
def test_a_file_through_a_link_of_the_same_layer(tmp_path: Path, form: str) -> None:
    (tmp_path / "victim").mkdir()
    for target in (b"../victim", os.fsencode(tmp_path / "victim"), b"inside"):
        out = tmp_path / "out"
        link = _mark(Kind.SYMLINK, b"a", link=target)
        with pytest.raises(LayerFault, match="non-folder"):
            _write(out, [_dir(b"inside"), link, _file(b"a/evil")], form)
        with pytest.raises(LayerFault, match="non-folder"):
            _write(out, [link, _mark(Kind.DIR, b"a/sub/evil")], form)
        shutil.rmtree(out)
    assert list((tmp_path / "victim").iterdir()) == []


@_BOTH
@pytest.mark.parametrize("link", [b"../victim", b"/etc/passwd", b"link/victim", b"absent", b"", b"dir"])
def test_hard_links_that_leave_the_root(tmp_path: Path, form: str, link: bytes) -> None:
    (tmp_path / "victim").write_text("v")
    items = [_dir(b"dir"), _mark(Kind.SYMLINK, b"link", link=b".."), _mark(Kind.HARDLINK, b"h", link=link)]
    with pytest.raises(LayerFault, match="hard link"):
        _write(tmp_path / "out", items, form)
    assert (tmp_path / "victim").stat().st_nlink == 1


@_BOTH
def test_a_folder_may_replace_a_link_and_the_other_way(tmp_path: Path, form: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "kept").write_text("k")
    link = _mark(Kind.SYMLINK, b"a", link=b"../victim")
    _write(tmp_path / "out", [link, _dir(b"a"), _file(b"a/f"), link], form)
    assert (tmp_path / "out" / "a").is_symlink()
    assert os.listdir(tmp_path / "victim") == ["kept"]
    _write(tmp_path / "out2", [link, _dir(b"a"), _file(b"a/f")], form)
    assert (tmp_path / "out2" / "a" / "f").read_text() == "x"


@_BOTH
def test_what_is_there_is_replaced_not_written_into(tmp_path: Path, form: str) -> None:
    (tmp_path / "victim").write_text("v")
    out = tmp_path / "out"
    out.mkdir()
    os.link(tmp_path / "victim", out / "hard")
    (out / "soft").symlink_to("../victim")
    _write(out, [_file(b"hard", b"new"), _file(b"soft", b"new"), _file(b"soft", b"newer")], form)
    assert (tmp_path / "victim").read_text() == "v"
    assert ((out / "hard").read_text(), (out / "soft").read_text()) == ("new", "newer")


@_BOTH
def test_times_and_modes_of_folders_are_set_last(tmp_path: Path, form: str) -> None:
    items = [_dir(b"d", 0o500), _dir(b"d/e", 0o000), _file(b"d/e/f"), _file(b"d/g")]
    _write(tmp_path / "out", items, form)
    st = (tmp_path / "out" / "d").stat()
    assert (stat.S_IMODE(st.st_mode), st.st_mtime) == (0o500, 1000)
    for path in ("d", "d/e"):
        (tmp_path / "out" / path).chmod(0o700)
    assert (tmp_path / "out" / "d/e/f").exists()


@_BOTH
def test_missing_parents_are_as_below(tmp_path: Path, form: str) -> None:
    def below(path: bytes) -> Entry | None:
        if path != b"a":
            return None
        return Entry(path=path, kind=Kind.DIR, mode=0o2710, uid=os.getuid(), gid=os.getgid(), mtime=77)

    _write(tmp_path / "out", [_file(b"a/b/f")], form, below=below)
    outer, inner = (tmp_path / "out/a").stat(), (tmp_path / "out/a/b").stat()
    assert (stat.S_IMODE(outer.st_mode), outer.st_mtime) == (0o2710, 77)
    assert stat.S_IMODE(inner.st_mode) == 0o755


def test_marks_in_overlay_form(tmp_path: Path) -> None:
    items = [_mark(Kind.WHITEOUT, b"gone"), _dir(b"d"), _mark(Kind.OPAQUE, b"d"), _mark(Kind.WHITEOUT, b"x/y")]
    _write(tmp_path / "out", items)
    for name in ("gone", "x/y"):
        st = (tmp_path / "out" / name).lstat()
        assert stat.S_ISCHR(st.st_mode) and st.st_rdev == 0
    assert os.getxattr(tmp_path / "out/d", "user.overlay.opaque") == b"y"


@pytest.mark.parametrize("last", [False, True])
def test_deleted_and_made_again_hides_what_is_below(tmp_path: Path, last: bool) -> None:
    made = [_dir(b"d"), _file(b"d/f")]
    gone = [_mark(Kind.WHITEOUT, b"d"), _mark(Kind.WHITEOUT, b"f")]
    _write(tmp_path / "out", [*made, _file(b"f"), *gone] if last else [*gone, *made, _file(b"f")])
    assert os.getxattr(tmp_path / "out/d", "user.overlay.opaque") == b"y"
    assert ((tmp_path / "out/d/f").read_text(), (tmp_path / "out/f").read_text()) == ("x", "x")


@pytest.mark.parametrize("last", [False, True])
def test_an_opaque_folder_needs_no_whiteouts(tmp_path: Path, last: bool) -> None:
    marks = [_mark(Kind.OPAQUE, b"d"), _mark(Kind.WHITEOUT, b"d/x")]
    _write(tmp_path / "out", [_dir(b"d"), *(reversed(marks) if last else marks)])
    assert os.listdir(tmp_path / "out" / "d") == []


def test_a_whiteout_then_a_file_beneath_without_a_folder(tmp_path: Path) -> None:
    _write(tmp_path / "out", [_mark(Kind.WHITEOUT, b"d"), _file(b"d/f")])
    assert os.getxattr(tmp_path / "out/d", "user.overlay.opaque") == b"y"
    assert (tmp_path / "out/d/f").exists()


@pytest.mark.parametrize(
    "then",
    [_mark(Kind.WHITEOUT, b"a"), _mark(Kind.WHITEOUT, b"a/b"), _mark(Kind.OPAQUE, b"a"), _file(b"a"), _file(b"a/b")],
)
def test_a_folder_that_goes_after_something_in_it(tmp_path: Path, then: Item) -> None:
    out = tmp_path / "out"
    _write(out, [_file(b"a/b/c")], "plain")
    _write(out, [_mark(Kind.WHITEOUT, b"a/b/c"), then], "plain")
    assert not (out / "a/b").is_dir()


@_BOTH
def test_what_is_written_over_is_not_looked_for_among_all_others(tmp_path: Path, form: str) -> None:
    """10,000 times among 10,000 would take a minute; a layer has up to 20 million members."""
    many = [_file(b"f%d" % n) for n in range(10_000)]
    over = [item for n in range(5_000) for item in (_dir(b"d"), _file(b"d/x"), _file(b"d"))]
    _write(tmp_path / "out", [*many, *over, _file(b"e/f/g"), _file(b"e"), _file(b"z/f"), _file(b"z"), _dir(b"z")], form)
    assert (tmp_path / "out/d").is_file() and (tmp_path / "out/e").is_file()
    assert list((tmp_path / "out/z").iterdir()) == []


@pytest.mark.parametrize("last", [False, True])
def test_marks_in_a_plain_tree_delete_only_what_was_there_before(tmp_path: Path, last: bool) -> None:
    out = tmp_path / "out"
    _write(out, [_dir(b"d/e"), _file(b"d/old"), _file(b"d/e/old"), _file(b"gone"), _dir(b"tree/x")], "plain")
    made = [_file(b"d/new"), _file(b"d/e/new"), _file(b"gone2")]
    marks = [_mark(Kind.OPAQUE, b"d"), _mark(Kind.WHITEOUT, b"gone"), _mark(Kind.WHITEOUT, b"gone2"),
             _mark(Kind.WHITEOUT, b"tree"), _mark(Kind.WHITEOUT, b"never/was")]  # fmt: skip
    _write(out, [*made, *marks] if last else [*marks, *made], "plain")
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert found == ["d", "d/e", "d/e/new", "d/new", "gone2"]


def test_a_mark_through_a_link_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "kept").write_text("k")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").symlink_to("../victim")
    _write(out, [_mark(Kind.WHITEOUT, b"a/kept")], "plain")
    assert (tmp_path / "victim" / "kept").exists()
    _write(out, [_mark(Kind.OPAQUE, b"a"), _file(b"a/f")], "plain")
    assert (tmp_path / "victim" / "kept").exists() and not (out / "a").is_symlink()


@_BOTH
def test_overlay_marks_of_an_archive_do_not_get_through(tmp_path: Path, form: str) -> None:
    xattrs = ((b"trusted.overlay.redirect", b"/../.."), (b"user.overlay.opaque", b"y"), (b"user.ok", b"1"))
    _write(tmp_path / "out", [_file(b"f", xattrs=xattrs)], form)
    assert os.listxattr(tmp_path / "out" / "f") == ["user.ok"]
    done = _write(tmp_path / "out", [_mark(Kind.CHAR, b"c", device=(0, 0))], form)
    assert done.devices == 1 and not (tmp_path / "out" / "c").exists()


def test_what_cannot_be_kept_is_counted(tmp_path: Path) -> None:
    done = _write(tmp_path / "out", [_mark(Kind.BLOCK, b"sda", device=(8, 0))], devices=False)
    assert done.devices == 1 and "1 device nodes" in done.warnings()[0]
    if not _ROOT:
        done = _write(tmp_path / "out", [_file(b"f", uid=0, gid=0, mode=0o4755)])
        assert done.owners == 1


@_BOTH
def test_holes_stay_holes(tmp_path: Path, form: str) -> None:
    size = 64 << 20

    class Zeros:
        def chunks(self) -> Iterable[bytes]:
            for _ in range(size >> 20):
                yield bytes(1 << 20)

    item: Any = (_file(b"f")[0].__class__(path=b"f", kind=Kind.FILE, mode=0o644, size=size), Zeros())
    _write(tmp_path / "out", [item], form)
    st = (tmp_path / "out" / "f").stat()
    assert st.st_size == size and st.st_blocks * 512 < size // 8


@_BOTH
@pytest.mark.parametrize("size", [0, 5, 20])
def test_content_of_another_length(tmp_path: Path, form: str, size: int) -> None:
    entry = Entry(path=b"f", kind=Kind.FILE, size=10)
    with pytest.raises(LayerFault, match="not as long"):
        _write(tmp_path / "out", [(entry, BytesContent(bytes(size)))], form)


@_BOTH
def test_names_that_the_disk_does_not_take(tmp_path: Path, form: str) -> None:
    with pytest.raises(LayerFault, match="cannot unpack"):
        _write(tmp_path / "out", [_file(b"n" * 256)], form)
    with pytest.raises(LayerFault, match="its root"):
        _write(tmp_path / "out", [_file(b"")], form)
    with pytest.raises(LayerFault, match="its own root"):
        _write(tmp_path / "out", [_mark(Kind.WHITEOUT, b"")], form)


@pytest.mark.oracle
@pytest.mark.skipif(not (_ROOT and shutil.which("umoci")), reason="needs root and umoci")
def test_umoci_unpacks_the_same(nasty: Path, tmp_path: Path, kit: Any) -> None:
    """Two layers: a nasty tree, then deletions and an opaque folder."""
    second = [_file(b"added"), _dir(b"dir"), _mark(Kind.OPAQUE, b"dir"), _file(b"dir/fresh"),
              _mark(Kind.WHITEOUT, b"plain"), _mark(Kind.WHITEOUT, b"n" * 101)]  # fmt: skip
    layout = tmp_path / "layout"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, Any]:
        from cache.digest import Digest

        digest = Digest.of(data)
        (blobs / digest.hex).write_bytes(data)
        return {"mediaType": media_type, "digest": str(digest), "size": len(data)}

    layers, diff_ids = [], []
    for items in (upper_changes(str(nasty), False), second):
        sink = kit.Sink()
        layer = pack(items, codec("gzip"), sink)
        layers.append(put(bytes(sink.data), layer.blob.media_type))
        diff_ids.append(str(layer.diff_id))
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    prefix = "application/vnd.oci.image"
    manifest = {"schemaVersion": 2, "mediaType": f"{prefix}.manifest.v1+json",
                "config": put(json.dumps(config).encode(), f"{prefix}.config.v1+json"), "layers": layers}  # fmt: skip
    described = put(json.dumps(manifest).encode(), f"{prefix}.manifest.v1+json")
    described["annotations"] = {"org.opencontainers.image.ref.name": "x"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:x", tmp_path / "bundle"], check=True, capture_output=True)
    _write(tmp_path / "ours", upper_changes(str(nasty), False), "plain")
    _write(tmp_path / "ours", second, "plain")
    theirs, ours = kit.read_tree(tmp_path / "bundle" / "rootfs"), kit.read_tree(tmp_path / "ours")
    assert theirs.keys() == ours.keys()
    for path, (entry, data, group) in ours.items():
        if path == b"dir":  # umoci sets the folder's time before it fills it again
            continue
        assert theirs[path] == (entry, data, group)
