from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import LayerFault
from builder.layer.plain import open_plain, sniff

_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
_DATA = bytes(range(256)) * 3000


@pytest.mark.parametrize("form", _FORMS)
def test_one_stream_and_several(form: str) -> None:
    one = _FORMS[form](_DATA)
    stream = open_plain(io.BytesIO(one))
    assert stream.form == form
    assert stream.read() == _DATA
    assert open_plain(io.BytesIO(one + _FORMS[form](b"") + one)).read() == _DATA * 2


def test_anything_else_is_plain() -> None:
    for data in (b"", b"x", b"\x1f", _DATA):
        stream = open_plain(io.BytesIO(data))
        assert (stream.form, stream.read()) == ("", data)


def test_a_source_that_gives_single_bytes() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(1, size or 0))

    for form, compress in _FORMS.items():
        assert open_plain(Slow(compress(b"abc" * 50))).read() == b"abc" * 50, form


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("cut", [1, 5, 100])
def test_cut_short(form: str, cut: int) -> None:
    with pytest.raises(LayerFault, match="cut short"):
        open_plain(io.BytesIO(_FORMS[form](_DATA)[:-cut])).read()


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_zeros_may_follow_but_nothing_else(form: str) -> None:
    one = _FORMS[form](_DATA)
    assert open_plain(io.BytesIO(one + bytes(1000))).read() == _DATA
    with pytest.raises(LayerFault, match="damaged"):
        open_plain(io.BytesIO(one + b"garbage at the end")).read()


@given(st.sampled_from(sorted(_FORMS)), st.integers(8, 60), st.integers(0, 255))
def test_damage_is_a_fault_and_nothing_else(form: str, at: int, byte: int) -> None:
    plain = b"some data to compress " * 10
    data = bytearray(_FORMS[form](plain))
    if at < len(data):
        data[at] = byte
    try:
        stream = open_plain(io.BytesIO(bytes(data)))
        found = stream.read()
    except LayerFault as error:
        assert form in error.message
        return
    if stream.form != form:
        assert found == bytes(data)  # no magic number any more
    elif form != "zstd":  # which has no checksum here
        assert found == plain


@pytest.mark.parametrize("form", _FORMS)
def test_bombs(form: str) -> None:
    bomb = _FORMS[form](bytes(100 << 20))
    with pytest.raises(LayerFault, match="grows beyond 1000000 bytes"):
        open_plain(io.BytesIO(bomb), limit=1_000_000).read()
    stream = open_plain(io.BytesIO(bomb), ratio=100)
    with pytest.raises(LayerFault, match="more than 100 times"):
        while stream.read(1 << 20):
            pass
    assert len(open_plain(io.BytesIO(_FORMS[form](_DATA)), limit=len(_DATA)).read()) == len(_DATA)


def test_skippable_zstd_frames() -> None:
    skip = b"\x53\x2a\x4d\x18\x04\0\0\0junk"
    assert sniff(skip) == "zstd"
    frame = zstandard.ZstdCompressor().compress(b"data")
    assert open_plain(io.BytesIO(skip + frame + skip + frame)).read() == b"datadata"
