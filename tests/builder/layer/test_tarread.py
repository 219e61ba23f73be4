from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import LayerFault
from builder.layer.changes import upper_changes
from builder.layer.entry import BytesContent, Entry, Item, Kind
from builder.layer.limits import Limits
from builder.layer.pack import tar_chunks
from builder.layer.tarfmt import END, header
from builder.layer.tarread import TarReader


def _read(data: bytes, **options: Any) -> list[tuple[Entry, bytes]]:
    items = TarReader(io.BytesIO(data), **options)
    return [(entry, b"".join(content.chunks()) if content else b"") for entry, content in items]


def _file(path: bytes, data: bytes = b"") -> bytes:
    entry = Entry(path=path, kind=Kind.FILE, size=len(data))
    return header(entry) + data + bytes(-len(data) % 512)


def _raw(block: bytes, **fields: bytes) -> bytes:
    """A header with some of its fields replaced and a right checksum."""
    places = {"name": 0, "mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "type": 156, "link": 157,
              "magic": 257, "prefix": 345, "major": 329}  # fmt: skip
    out = bytearray(block[:512])
    for field, value in fields.items():
        out[places[field] : places[field] + len(value)] = value
    out[148:156] = b" " * 8
    out[148:156] = b"%06o\0 " % sum(out)
    return bytes(out)


def _pax(records: bytes, kind: bytes = b"x") -> bytes:
    head = _raw(header(Entry(path=b"pax", kind=Kind.FILE, size=len(records))), type=kind)
    return head + records + bytes(-len(records) % 512)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_python(form: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        info = tarfile.TarInfo("a/" * 30 + "n" * 90)
        info.size, info.mtime, info.mode, info.uid = 700, 123, 0o640, 1000
        tar.addfile(info, io.BytesIO(b"z" * 700))
        if form != tarfile.USTAR_FORMAT:
            info = tarfile.TarInfo("long" * 60)
            info.type, info.linkname, info.uid, info.gid = tarfile.SYMTYPE, "t" * 240, 3_000_000_000, 5_000_000
            tar.addfile(info)
        info = tarfile.TarInfo("dir")
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    found = _read(stream.getvalue())
    assert found[0] == (
        Entry(path=b"a/" * 30 + b"n" * 90, kind=Kind.FILE, mode=0o640, uid=1000, mtime=123, size=700), b"z" * 700
    )  # fmt: skip
    if form != tarfile.USTAR_FORMAT:
        entry = found[1][0]
        assert (entry.path, entry.link, entry.uid, entry.gid) == (b"long" * 60, b"t" * 240, 3_000_000_000, 5_000_000)
    assert (found[-1][0].path, found[-1][0].kind) == (b"dir", Kind.DIR)


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
@pytest.mark.parametrize(
    "form",
    [["--format=gnu"], ["--format=posix"], ["--format=gnu", "--sparse"],
     *(["--format=posix", "--sparse", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))],
)  # fmt: skip
def test_archives_of_gnu_tar(form: list[str], nasty: Path, kit: Any) -> None:
    options = ["--xattrs", "--xattrs-include=*"] if "--format=posix" in form else []
    made = subprocess.run(
        ["tar", *form, *options, "--numeric-owner", "--sort=name", "-C", nasty, "-cf", "-", "."],
        capture_output=True, check=True,
    )  # fmt: skip
    found = {e.path: (e, data) for e, data in _read(made.stdout) if e.path}
    for path, (entry, data, _) in kit.read_tree(nasty).items():
        theirs, content = found.pop(path)
        if theirs.kind is Kind.HARDLINK:
            assert found.get(theirs.link, theirs) is not None
            continue
        assert content == data
        assert (theirs.kind, theirs.mode, theirs.uid, theirs.gid, theirs.mtime) == (
            entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime,
        )  # fmt: skip
        assert (theirs.size, theirs.link, theirs.device) == (entry.size, entry.link, entry.device)
        if options:
            assert set(entry.xattrs) <= set(theirs.xattrs)
    assert not found


def test_old_v7_folders_end_with_a_slash() -> None:
    block = _raw(header(Entry(path=b"x", kind=Kind.FILE)), name=b"old/\0", type=b"\0", magic=b"\0" * 8)
    assert _read(block + END)[0][0].kind is Kind.DIR


def test_signed_checksums_of_old_programs() -> None:
    block = bytearray(_file(b"\xff\xfe"))
    signed = sum(b - 256 if b > 127 else b for b in block[:148] + b" " * 8 + block[156:512])
    block[148:156] = b"%06o\0 " % signed
    assert _read(bytes(block) + END)[0][0].path == b"\xff\xfe"


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**62])
def test_base_256_numbers(number: int) -> None:
    field = b"\x80" + number.to_bytes(11, "big")
    assert _read(_raw(_file(b"x"), mtime=field) + END)[0][0].mtime == number
    negative = struct.pack(">Iq", 0xFFFFFFFF, -number - 1)
    assert _read(_raw(_file(b"x"), mtime=negative) + END)[0][0].mtime == -number - 1


def test_pax_global_headers_hold_until_replaced() -> None:
    data = _pax(b"12 mtime=77\n", b"g")
    found = _read(data + _file(b"a") + _pax(b"12 mtime=-1\n") + _file(b"b") + _file(b"c") + END)
    assert [entry.mtime for entry, _ in found] == [77, -1, 77]


@pytest.mark.parametrize(("text", "seconds"), [(b"5.9", 5), (b"-5.1", -6), (b"-5.0", -5), (b"-0.5", -1)])
def test_fractions_of_seconds_are_rounded_down(text: bytes, seconds: int) -> None:
    record = b" mtime=" + text + b"\n"
    assert _read(_pax(b"%d" % (len(record) + 2) + record) + _file(b"a") + END)[0][0].mtime == seconds


@pytest.mark.parametrize("name", [b"../x", b"a/../../x", b"..", b"a/..", b"./../x"])
def test_dotdot_is_refused(name: bytes) -> None:
    with pytest.raises(LayerFault, match=r"\.\."):
        _read(_file(name) + END)
    with pytest.raises(LayerFault, match=r"\.\."):
        _read(header(Entry(path=b"x", kind=Kind.HARDLINK, link=name)) + END)


def test_absolute_names_are_beneath_the_root() -> None:
    assert _read(_file(b"/etc/passwd") + END)[0][0].path == b"etc/passwd"
    assert _read(_file(b"///./etc/x") + END)[0][0].path == b"etc/x"
    link = header(Entry(path=b"/y", kind=Kind.HARDLINK, link=b"/etc/passwd"))
    assert [(e.path, e.link) for e, _ in _read(_file(b"/etc/passwd") + link + END)][1] == (b"y", b"etc/passwd")
    with pytest.raises(LayerFault, match=r"\.\."):
        _read(_file(b"/../x") + END)
    assert _read(header(Entry(path=b"/", kind=Kind.DIR)) + END)[0][0].path == b""


@pytest.mark.parametrize("name", [b"a//b", b"./a/b", b"a/./b"])
def test_names_are_cleaned(name: bytes) -> None:
    assert _read(_file(name) + END)[0][0].path == b"a/b"


@given(st.integers(1, 2000))
@settings(max_examples=40)
def test_a_cut_archive_is_a_fault_or_ends_between_members(cut: int) -> None:
    archive = _file(b"first", b"1" * 100) + _pax(b"11 path=ab\n") + _file(b"second", b"2" * 600)
    data = archive[: len(archive) - cut]
    try:
        found = _read(data)
    except LayerFault as fault:
        assert "cut short" in fault.message or "missing" in fault.message
    else:
        assert len(data) in (0, 1024)
        assert len(found) == len(data) // 1024


def test_a_cut_member_is_named() -> None:
    with pytest.raises(LayerFault, match="'victim' is cut short"):
        _read(_file(b"victim", b"x" * 5000)[:2000])


@given(st.binary(max_size=3000))
def test_noise_is_a_fault_and_nothing_else(noise: bytes) -> None:
    for data in (noise, _file(b"x") + noise, _pax(noise) + _file(b"x") + END):
        _read_or_refused(data)


def _read_or_refused(data: bytes) -> None:
    try:
        found = _read(data)
    except LayerFault as error:
        assert "\n" not in error.message
        return
    for entry, content in found:
        assert not entry.path.startswith(b"/") and b".." not in entry.path.split(b"/")
        assert len(content) == entry.size


@given(st.integers(0, 511), st.integers(0, 255), st.booleans())
def test_a_changed_header_is_a_fault_and_nothing_else(at: int, byte: int, mend: bool) -> None:
    block = bytearray(_file(b"x", b"y" * 10))
    block[at] = byte
    changed = (_raw(bytes(block)) if mend else bytes(block[:512])) + bytes(block[512:])
    _read_or_refused(changed + END)


def test_a_wrong_checksum() -> None:
    block = bytearray(_file(b"x"))
    block[0] = ord("y")
    with pytest.raises(LayerFault, match="checksum"):
        _read(bytes(block) + END)


@pytest.mark.parametrize(
    "records",
    [b"garbage", b"9999 a=b\n", b"3 a\n", b"-5 a=b\n", b"8 mtime=x\n", b"7 =val\n", b"12 size=abc\n", b"0 \n",
     b" a=b\n", b"13 path=a\0b\n", b"12 uid=-700\n", b"30 mtime=99999999999999999999\n"],
)  # fmt: skip
def test_malformed_pax(records: bytes) -> None:
    with pytest.raises(LayerFault):
        _read(_pax(records) + _file(b"x") + END)


def test_limits() -> None:
    archive = b"".join(_file(b"f%d" % n, b"x" * 100) for n in range(5)) + END
    with pytest.raises(LayerFault, match="limit of 4"):
        _read(archive, limits=Limits(entries=4))
    with pytest.raises(LayerFault, match="larger than 499"):
        _read(archive, limits=Limits(size=499))
    assert len(_read(archive, limits=Limits(entries=5, size=500))) == 5
    with pytest.raises(LayerFault, match="extended header"):
        _read(_pax(b"x" * 2000) + END, limits=Limits(extended=1999))
    with pytest.raises(LayerFault, match="path of"):
        _read(_pax(b"115 path=" + b"p" * 105 + b"\n") + _file(b"x") + END, limits=Limits(path=100))


def test_a_fault_about_size_names_archive_and_member_and_says_what_to_do() -> None:
    archive = _file(b"small", b"x" * 100) + _file(b"large", b"x" * 5000) + END
    with pytest.raises(LayerFault, match=r"^a\.tar is too large: member 'large' makes it larger than 4096") as caught:
        _read(archive, limits=Limits.of_size(4096), what="a.tar")
    assert "LAPSTRAKE_UNPACK_LIMIT" in caught.value.hint
    with pytest.raises(LayerFault, match="one more than the limit of 8"):
        _read(b"".join(_file(b"%d" % n, b"") for n in range(9)) + END, limits=Limits.of_size(4096))


def test_a_sparse_bomb_is_bounded() -> None:
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n" + b"20 GNU.sparse.name=x\n"[:0]
    size = b"GNU.sparse.realsize=9000000000000000000\n"
    records += b"%d %s" % (len(size) + 3, size)
    with pytest.raises(LayerFault, match="larger than"):
        _read(_pax(records) + _raw(_file(b"x"), size=b"00000001000\0") + b"0\n".ljust(512, b"\0") + END)


@pytest.mark.parametrize("map", [b"1\n5\n", b"x\n", b"99999999\n", b"1\n0\n99999\n", b"1" * 100, b"2\n10\n5\n0\n5\n"])
def test_malformed_sparse_maps(map: bytes) -> None:
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n27 GNU.sparse.realsize=100\n"
    with pytest.raises(LayerFault):
        _read(_pax(records) + _raw(_file(b"x"), size=b"00000001000\0") + map.ljust(512, b"\0") + END)


def test_content_that_is_not_read_is_skipped_and_the_rest_is_drained() -> None:
    items: list[Item] = [(Entry(path=b"%d" % n, kind=Kind.FILE, size=700), BytesContent(b"x" * 700)) for n in range(3)]
    stream = io.BytesIO(b"".join(tar_chunks(items)) + b"padding" * 1000)
    assert [entry.path for entry, _ in TarReader(stream)] == [b"0", b"1", b"2"]
    assert stream.read() == b""


def test_own_archive_of_a_nasty_tree(nasty: Path, kit: Any) -> None:
    first = kit.listed(upper_changes(str(nasty), False))
    assert _read(b"".join(tar_chunks(upper_changes(str(nasty), False)))) == first
    assert b"socket" not in [entry.path for entry, _ in first]
