"""Listing: what one selection of a step held, member by member, so that a later build can say which one changed.

On disk: a line with the version, then deflate (RFC 1951, with zlib's frame) over blocks; a block is its length in four
bytes, big-endian, and a msgpack array of members. Written and read as a stream. It only ever serves to find words: one
that is lost, cut off or damaged is none.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from cache.errors import CacheFault
from cache.wholefile import replacing

_HEADER = b"lapstrake-listing-1\n"
_MEMBERS = 1000  # of a block
_LARGEST = 64 << 20  # bytes of a block
_CHUNK = 256 << 10
DIGEST_SIZE = 16  # bytes that are kept of a sha256


class Member(msgspec.Struct, frozen=True, array_like=True):
    """path: from the root of the tree. kind: of builder.layer.entry. mode: permission bits.

    digest: the first 16 bytes of the content's sha256. link: of a link. other: a digest of xattrs and device, or b"".
    """

    path: bytes
    kind: str
    mode: int
    digest: bytes = b""
    link: bytes = b""
    other: bytes = b""


def order(path: bytes) -> bytes:
    """Sorts paths as trees are walked: folder by folder."""
    return path.replace(b"/", b"\0")


def write(path: str, members: Iterable[Member], temp: str) -> None:
    """Keep a listing; members in the order of their paths. temp: begin of a temp file's name."""
    with replacing(path, 0o600, temp, durable=False) as fd:
        squeeze = zlib.compressobj(1)
        os.write(fd, _HEADER)
        for block in _blocks(members):
            data = msgspec.msgpack.encode(block)
            _put(fd, squeeze.compress(len(data).to_bytes(4, "big")) + squeeze.compress(data))
        _put(fd, squeeze.flush())


def read(path: str) -> Iterator[Member]:
    """The members. Raises CacheFault, also half-way, where there is no such listing or it cannot be read."""
    try:
        with open(path, "rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                raise CacheFault("this is no listing")
            yield from _members(_Inflated(file))
    except (OSError, zlib.error, EOFError, msgspec.MsgspecError) as error:
        raise CacheFault(f"a listing cannot be read: {error}") from error


def _blocks(members: Iterable[Member]) -> Iterator[list[Member]]:
    block: list[Member] = []
    for member in members:
        block.append(member)
        if len(block) == _MEMBERS:
            yield block
            block = []
    if block:
        yield block


def _members(source: _Inflated) -> Iterator[Member]:
    decoder = msgspec.msgpack.Decoder(list[Member])
    while head := source.read(4):
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > _LARGEST:
            raise EOFError("a block is cut off")
        yield from decoder.decode(source.read(size))


def _put(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


class _Inflated:
    """Exactly as many bytes as are asked for, fewer only at the end."""

    def __init__(self, file: object) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()
        self._held = b""

    def read(self, size: int) -> bytes:
        pieces, missing = [self._held], size - len(self._held)
        while missing > 0 and not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(_CHUNK)  # type: ignore[attr-defined]
            if not data:
                raise EOFError("it is cut off")
            piece = self._inflate.decompress(data, max(missing, _CHUNK))
            pieces.append(piece)
            missing -= len(piece)
        whole = b"".join(pieces)
        self._held = whole[size:]
        return whole[:size]
