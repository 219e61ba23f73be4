from __future__ import annotations

import gzip
import hashlib
import io
import random

import pytest

from builder.errors import OutputFault
from builder.layer.codec import BLOCK, Codec, Gzip, blocks, codec
from builder.layer.plain import open_plain

_DATA = b"".join(hashlib.sha256(b"%d" % (n // 3)).digest() for n in range(BLOCK // 8))[: 3 * BLOCK + 12345]
_ALL = ["uncompressed", "gzip", "zstd"]


def _cut(data: bytes, seed: int) -> list[bytes]:
    rng, parts, at = random.Random(seed), [], 0
    while at < len(data):
        step = rng.choice([1, 511, 512, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
        parts.append(data[at : at + step])
        at += step
    return parts


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, len(_DATA)])
def test_there_and_back_whatever_the_cuts(name: str, size: int) -> None:
    data = _DATA[:size]
    whole = b"".join(codec(name).compress([data] if data else []))
    assert open_plain(io.BytesIO(whole)).read() == data
    for seed in range(3):
        assert b"".join(codec(name).compress(_cut(data, seed))) == whole


def test_threads_do_not_matter() -> None:
    assert len({b"".join(Gzip(1, threads).compress([_DATA])) for threads in (1, 2, 5)}) == 1


def test_bytes_are_these() -> None:
    """Pinned: they decide the digests of layers. With another library version the fingerprint differs too."""
    head = b"".join(codec("gzip").compress([b"hello"]))
    assert head[:10] == bytes.fromhex("1f8b08000000000004ff")
    assert gzip.decompress(b"".join(codec("gzip").compress([]))) == b""
    assert gzip.decompress(b"".join(codec("gzip").compress([_DATA]))) == _DATA


@pytest.mark.parametrize("name", _ALL)
def test_a_fault_of_the_source_comes_through(name: str) -> None:
    def source() -> object:
        yield _DATA
        yield _DATA
        raise OutputFault("the source broke")

    with pytest.raises(OutputFault, match="the source broke"):
        list(codec(name).compress(source()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", _ALL)
def test_input_is_not_read_far_ahead(name: str) -> None:
    read = 0

    def source() -> object:
        nonlocal read
        for _ in range(100):
            read += 1
            yield _DATA[:BLOCK]

    out = codec(name).compress(source())  # type: ignore[arg-type]
    next(out)
    assert read < 10
    out.close()  # type: ignore[attr-defined]


def test_levels() -> None:
    made: dict[str, Codec] = {f"{n}{level}": codec(n, level) for n, level in [("gzip", 0), ("gzip", 9), ("zstd", 22)]}
    for one in made.values():
        assert open_plain(io.BytesIO(b"".join(one.compress([b"abc" * 100])))).read() == b"abc" * 100
    assert len({one.fingerprint for one in made.values()}) == 3
    assert codec("gzip").fingerprint == codec("gzip", 1).fingerprint
    assert codec("zstd").fingerprint == codec("zstd", 3).fingerprint


@pytest.mark.parametrize(("name", "level"), [("gzip", 10), ("gzip", -1), ("zstd", 23), ("lzma", None), ("", 1)])
def test_bad_names_and_levels(name: str, level: int | None) -> None:
    with pytest.raises(OutputFault):
        codec(name, level)


def test_blocks() -> None:
    assert list(blocks([b"ab", b"", b"cdefg", b"h"], 3)) == [b"abc", b"def", b"gh"]
    assert list(blocks([], 3)) == []
    assert list(blocks([b"abc", b"def"], 3)) == [b"abc", b"def"]


def test_what_cannot_get_smaller_is_stored() -> None:
    """And what can is not, wherever in a block it is."""
    noise = random.Random(1).randbytes(BLOCK)
    text = b"some words that repeat " * (BLOCK // 23)
    stored = b"".join(codec("gzip").compress([noise]))
    assert noise[:4096] in stored
    assert len(stored) < BLOCK + 200
    assert len(b"".join(codec("gzip").compress([text]))) < BLOCK // 20
    half = noise[: BLOCK // 2] + text[: BLOCK // 2]
    assert len(b"".join(codec("gzip").compress([half]))) < BLOCK * 0.6
    assert len(b"".join(codec("gzip", 9).compress([noise]))) < BLOCK + 200
