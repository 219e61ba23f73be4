"""Codecs: plain bytes of a layer in, its stored form out.

What comes out depends on the plain bytes, the codec's fingerprint and nothing else: not on threads, processor or how
the input was cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from builder.errors import OutputFault
from builder.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD

BLOCK = 512 << 10
"""Bytes of input per gzip member. WARNING: it decides the digest of every gzip layer; a change means that all of them
are written and pushed again. Measured on 127 MB of a Debian's files at level 1, two threads: 128 KiB 35.9 % and
372 MB/s, 256 KiB 35.6 % and 378, 512 KiB 35.5 % and 398, 1 MiB 35.5 % and 394."""

_SAMPLE, _SAMPLES = 4096, 8  # bytes, pieces: these and the next one decide digests like BLOCK
_WORTHWHILE = 0.97
_THREADS = 2
_AHEAD = 4  # blocks in flight: bounds memory to a few MiB


class Codec(Protocol):
    """media_type: of an OCI layer in this form. fingerprint: all that decides the bytes, in words."""

    @property
    def media_type(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def compress(self, plain: Iterable[bytes]) -> Iterator[bytes]:
        """The stored form, in order, while the input is being read; at least one piece."""
        ...


def blocks(plain: Iterable[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`, the last one shorter (never empty)."""
    parts: list[bytes] = []
    have = 0
    for data in plain:
        if not parts and len(data) == size:
            yield data
            continue
        parts.append(data)
        have += len(data)
        if have < size:
            continue
        joined = b"".join(parts)
        whole = have - have % size
        for at in range(0, whole, size):
            yield joined[at : at + size]
        parts = [joined[whole:]] if whole < have else []
        have -= whole
    if have:
        yield b"".join(parts)


class Uncompressed:
    """The plain tar itself."""

    media_type = OCI_LAYER
    fingerprint = "uncompressed"

    def compress(self, plain: Iterable[bytes]) -> Iterator[bytes]:
        return blocks(plain)


class Gzip:
    """Blocks of fixed size, each a gzip member of its own (RFC 1952, 2.2), made by libdeflate in threads.

    A block whose samples do not get smaller is stored, which takes a tenth of the time: media, archives, keys.
    """

    media_type = OCI_LAYER_GZIP

    def __init__(self, level: int = 1, threads: int = _THREADS) -> None:
        self._level, self._threads = level, threads

    @property
    def fingerprint(self) -> str:
        import deflate

        return f"gzip deflate/{deflate.__version__} level={self._level} block={BLOCK} sample={_SAMPLE}x{_SAMPLES}"

    def compress(self, plain: Iterable[bytes]) -> Iterator[bytes]:
        from deflate import gzip_compress

        level = self._level

        def member(block: bytes) -> bytes:
            sample = _sample(block)
            stored = bool(sample) and len(gzip_compress(sample, 1)) > len(sample) * _WORTHWHILE
            return bytes(gzip_compress(block, 0 if stored else level))

        some = False
        for data in _in_order(member, blocks(plain), self._threads):
            some = True
            yield data
        if not some:
            yield member(b"")


def _sample(block: bytes) -> bytes:
    """Pieces from all over a block; nothing of a small one, which is compressed in any case."""
    if len(block) < 4 * _SAMPLE * _SAMPLES:
        return b""
    stride = len(block) // _SAMPLES
    return b"".join(block[at : at + _SAMPLE] for at in range(0, stride * _SAMPLES, stride))


class Zstd:
    """One frame without content size or checksum, by one thread beside the reader's (RFC 8878)."""

    media_type = OCI_LAYER_ZSTD

    def __init__(self, level: int = 3) -> None:
        self._level = level

    @property
    def fingerprint(self) -> str:
        import zstandard

        library = ".".join(map(str, zstandard.ZSTD_VERSION))
        return f"zstd {library} level={self._level} block={BLOCK}"

    def compress(self, plain: Iterable[bytes]) -> Iterator[bytes]:
        import zstandard

        compressor: Any = zstandard.ZstdCompressor(
            level=self._level, write_content_size=False, write_checksum=False, write_dict_id=False, threads=0
        ).compressobj()
        yield from _in_order(compressor.compress, blocks(plain), 1)
        yield compressor.flush()


def _in_order(work: Callable[[bytes], bytes], pieces: Iterator[bytes], threads: int) -> Iterator[bytes]:
    """work(piece) for each, in order, some ahead of the consumer. A lone piece is done here: no thread is started."""
    first = next(pieces, None)
    if first is None:
        return
    second = next(pieces, None)
    if second is None:
        yield work(first)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[bytes]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="codec")
    try:
        waiting.append(pool.submit(work, first))
        waiting.append(pool.submit(work, second))
        for piece in pieces:
            if len(waiting) >= _AHEAD:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, piece))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_RANGES = {"uncompressed": (0, 0, 0), "gzip": (0, 9, 1), "zstd": (0, 22, 3)}


def codec(name: str, level: int | None = None) -> Codec:
    """A codec by the name that `-o compression=` takes; raises OutputFault on an unknown name or level."""
    if name not in _RANGES:
        raise OutputFault(f"unknown compression {name!r}", f"use one of: {', '.join(sorted(_RANGES))}")
    lowest, highest, usual = _RANGES[name]
    if level is None:
        level = usual
    if name == "uncompressed":
        return Uncompressed()
    if not lowest <= level <= highest:
        raise OutputFault(f"compression level {level} is out of range for {name}", f"use {lowest} to {highest}")
    return Gzip(level) if name == "gzip" else Zstd(level)


USUAL: Codec = codec("gzip")  # of layers for which nobody asks for another form
