from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import LayerFault
from builder.layer import tarfmt
from builder.layer.changes import upper_changes
from builder.layer.entry import BytesContent, Entry, Kind
from builder.layer.pack import tar_chunks
from builder.layer.tarread import TarReader

_NAME = st.binary(min_size=1, max_size=120).filter(
    lambda n: not set(n) & {0, ord("/")} and n not in (b".", b"..") and not n.startswith(b".wh.")
)
_PATH = st.lists(_NAME, min_size=1, max_size=4).map(b"/".join)
_XATTRS = st.dictionaries(
    st.binary(min_size=1, max_size=30).filter(lambda k: not set(k) & {0, ord("=")}),
    st.binary(max_size=2000),
    max_size=3,
).map(lambda d: tuple(sorted(d.items())))


@st.composite
def _entries(draw: Any) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from([k for k in Kind if k not in (Kind.WHITEOUT, Kind.OPAQUE)]))
    data = draw(st.binary(max_size=1500)) if kind is Kind.FILE else b""
    link = b""
    if kind in (Kind.SYMLINK, Kind.HARDLINK):
        link = draw(_PATH)
    device = (
        (draw(st.integers(0, 4095)), draw(st.integers(0, 2**20 - 1))) if kind in (Kind.CHAR, Kind.BLOCK) else (0, 0)
    )
    return Entry(
        path=draw(_PATH), kind=kind, mode=draw(st.integers(0, 0o7777)), uid=draw(st.integers(0, 2**32 - 1)),
        gid=draw(st.integers(0, 2**32 - 1)), mtime=draw(st.integers(-(2**40), 2**40)), size=len(data), link=link,
        device=device, xattrs=draw(_XATTRS),
    ), data  # fmt: skip


@given(st.lists(_entries(), max_size=4, unique_by=lambda e: e[0].path))
def test_what_is_written_is_read_back(members: list[tuple[Entry, bytes]]) -> None:
    archive = b"".join(tar_chunks([(e, BytesContent(d)) for e, d in members]))
    assert len(archive) % 512 == 0
    found = [(e, b"".join(c.chunks()) if c else b"") for e, c in TarReader(io.BytesIO(archive))]
    assert found == members


@given(_entries())
def test_python_reads_it_the_same(member: tuple[Entry, bytes]) -> None:
    entry, data = member
    archive = b"".join(tar_chunks([(entry, BytesContent(data))]))
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape") as tar:
        (found,) = tar.getmembers()
        assert found.name.encode("utf-8", "surrogateescape").rstrip(b"/") == entry.path.rstrip(b"/")
        assert (found.mode, found.uid, found.gid, found.mtime) == (entry.mode, entry.uid, entry.gid, entry.mtime)
        assert found.size == entry.size
        assert found.linkname.encode("utf-8", "surrogateescape") == entry.link.rstrip(b"/")


def test_a_short_plain_name_needs_one_block_and_a_long_one_pax() -> None:
    assert len(tarfmt.header(Entry(path=b"n" * 100, kind=Kind.FILE))) == 512
    long = tarfmt.header(Entry(path=b"n" * 101, kind=Kind.FILE))
    assert len(long) == 3 * 512
    assert b"111 path=" + b"n" * 101 + b"\n" in long
    assert len(tarfmt.header(Entry(path=b"n" * 100, kind=Kind.DIR))) == 3 * 512  # with its slash it is 101


@pytest.mark.parametrize("size", [*range(85, 100), *range(980, 1000)])
def test_a_pax_length_counts_its_own_digits(size: int) -> None:
    record = tarfmt._record(b"k", b"v" * size)
    assert int(record.split(b" ")[0]) == len(record)


def test_huge_numbers_go_to_pax() -> None:
    entry = Entry(path=b"f", kind=Kind.FILE, size=9 << 30, uid=1 << 21, gid=0o7777777, mtime=-1)
    header = tarfmt.header(entry)
    for record in (b"size=9663676416\n", b"uid=2097152\n", b"mtime=-1\n"):
        assert record in header
    assert b"gid=" not in header

    class HeaderOnly(io.BytesIO):
        """An archive that goes on with zeros; nobody reads 9 GiB of them."""

    reader = iter(TarReader(HeaderOnly(header)))
    assert next(reader)[0] == entry


def test_the_exact_bytes_of_a_header() -> None:
    """A change here changes every diff_id."""
    header = tarfmt.header(Entry(path=b"etc/x", kind=Kind.FILE, mode=0o4755, uid=1, gid=2, size=3, mtime=4))
    assert header[:6] == b"etc/x\0"
    assert header[100:157] == b"0004755\x000000001\x000000002\x0000000000003\x0000000000004\x00010161\x00 0"
    assert header[257:265] == b"ustar\x0000"
    assert header[329:345] == b"0000000\x000000000\x00"
    assert not header[157:257].strip(b"\0") and not header[265:329].strip(b"\0") and not header[345:].strip(b"\0")


def test_marks_and_absurd_devices_are_refused() -> None:
    with pytest.raises(LayerFault, match="whiteout"):
        tarfmt.header(Entry(path=b"x", kind=Kind.WHITEOUT))
    with pytest.raises(LayerFault, match="do not fit"):
        tarfmt.header(Entry(path=b"x", kind=Kind.CHAR, device=(1 << 30, 0)))


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
def test_gnu_tar_unpacks_a_nasty_tree(nasty: Path, tmp_path: Path, kit: Any) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"".join(tar_chunks(upper_changes(str(nasty), False))))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        ["tar", "-xpf", archive, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", out],
        check=True, capture_output=True,
    )  # fmt: skip
    assert kit.read_tree(out) == kit.read_tree(nasty)


def test_the_checksum_of_the_largest_bytes() -> None:
    most = Entry(path=b"\xff" * 100, kind=Kind.SYMLINK, link=b"\xff" * 100, mode=0o7777, uid=0o7777777, gid=0o7777777,
                 mtime=0o77777777777, device=(0o7777777, 0o7777777))  # fmt: skip
    block = tarfmt.header(most)
    assert int(block[148:154], 8) == sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
