"""From a stored form back to plain bytes, whatever wrote it: gzip, zstd, bzip2, xz or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from builder.errors import GrowthFault, LayerFault
from builder.layer.tarread import Readable
from cache.errors import Fault

_INPUT = 256 << 10
_OUTPUT = 1 << 20
_XZ_MEMORY = 96 << 20
_ZSTD_WINDOW = 1 << 27  # what the zstd program itself accepts
# A zstd block of 4 bytes can stand for 128 KiB (RFC 8878, RLE_Block) and zstandard gives all output of one input at
# once: pieces of this size keep that below 32 MiB.
_ZSTD_INPUT = 1 << 10
_GRACE = 64 << 20
_MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)


class Decoder(Protocol):
    """One gzip member, xz stream, ...: the shape that bz2 and lzma share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class PlainStream:
    """`read(size)` of plain bytes; raises LayerFault on damage and beyond the bounds. form: what was found."""

    def __init__(self, form: str, pieces: Iterator[bytes]) -> None:
        self.form = form
        self._pieces = pieces
        self._data = b""
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, b"" at the end; all of it for -1."""
        if size < 0:
            rest = self._data[self._at :] + b"".join(self._pieces)
            self._data, self._at = b"", 0
            return rest
        while self._at >= len(self._data):
            data = next(self._pieces, None)
            if data is None:
                return b""
            self._data, self._at = data, 0
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part


def sniff(head: bytes) -> str:
    """The form by its first bytes: "gzip", "zstd", "bzip2", "xz" or "" for anything else. head: 8 bytes or more."""
    for magic, form in _MAGICS:
        if head.startswith(magic):
            return form
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zstd"  # a skippable frame may come first
    return ""


def open_plain(raw: Readable, *, limit: int = 1 << 42, ratio: int | None = None, grace: int = _GRACE) -> PlainStream:
    """The plain bytes of `raw`.

    limit: most bytes that may come out. ratio: most bytes out for each byte in, once `grace` bytes have come out; None
    for no such bound (files of zeros are honest and shrink a thousandfold). What exceeds them raises GrowthFault.
    """
    head = _at_least(raw, 8)
    form = sniff(head)
    source = _Source(raw, head)
    makers: dict[str, Callable[[], Decoder]] = {"gzip": _Gunzip, "bzip2": _bzip2, "xz": _xz}
    if form == "zstd":
        pieces = _zstd(source)
    elif form:
        pieces = _streams(source, makers[form], form)
    else:
        pieces = source.all()
    return PlainStream(form, _bounded(pieces, source, limit, ratio, grace))


class _Source:
    """The stored bytes, with what was read to look at them put back in front, and counted."""

    def __init__(self, raw: Readable, head: bytes) -> None:
        self._raw, self._head = raw, head
        self.count = 0

    def read(self, size: int) -> bytes:
        data, self._head = (self._head, b"") if self._head else (self._raw.read(size), b"")
        self.count += len(data)
        return data

    def all(self) -> Iterator[bytes]:
        while data := self.read(_OUTPUT):
            yield data


def _at_least(raw: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = raw.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _bounded(pieces: Iterator[bytes], source: _Source, limit: int, ratio: int | None, grace: int) -> Iterator[bytes]:
    count = 0
    for data in pieces:
        count += len(data)
        if count > limit:
            yield data[: len(data) - (count - limit)]  # whoever reads gets as far as it can, to say where it was
            raise GrowthFault(f"data grows beyond {limit} bytes", "this may be a decompression bomb")
        if ratio is not None and count > grace and count > ratio * source.count:
            raise GrowthFault(f"compressed data grows more than {ratio} times", "this may be a decompression bomb")
        yield data


def _streams(source: _Source, make: Callable[[], Decoder], form: str) -> Iterator[bytes]:
    """Streams one after the other; zeros may pad the end."""
    data = b""
    first = True
    while True:
        if not first:
            data = data.lstrip(b"\0")
        if not data:
            data = source.read(_INPUT)
            if not data:
                return
            continue
        decoder = make()
        try:
            while not decoder.eof:
                if decoder.needs_input and not data:
                    data = source.read(_INPUT)
                    if not data:
                        raise LayerFault(f"{form} data is cut short")
                plain = decoder.decompress(data, _OUTPUT)
                data = b""
                if plain:
                    yield plain
        except Fault:  # ours, or the source's: what cannot be read is not damaged
            raise
        except Exception as error:  # zlib.error, OSError, lzma.LZMAError, EOFError: one meaning
            raise LayerFault(f"{form} data is damaged: {error}") from error
        data = decoder.unused_data
        first = False


class _Gunzip:
    """zlib.decompressobj in the shape of its younger sisters."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _bzip2() -> Decoder:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Decoder:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd(source: _Source) -> Iterator[bytes]:
    import zstandard

    window = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    decoder: Any = None
    try:
        while True:
            data = source.read(_INPUT)
            if not data:
                break
            at = 0
            while at < len(data):
                piece = data[at : at + _ZSTD_INPUT]
                at += len(piece)
                while piece:
                    if decoder is None:
                        decoder = window.decompressobj()
                    plain = decoder.decompress(piece)
                    if plain:
                        yield plain
                    piece = b""
                    if decoder.eof:
                        piece, decoder = decoder.unused_data, None
    except zstandard.ZstdError as error:
        raise LayerFault(f"zstd data is damaged: {error}") from error
    if decoder is not None:
        raise LayerFault("zstd data is cut short")
