"""A build context from the standard input: a tar archive, however compressed, or a Dockerfile alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from builder.errors import LayerFault, SourceFault
from builder.layer.entry import Item
from builder.layer.limits import Limits
from builder.layer.plain import open_plain
from builder.layer.remove import remove
from builder.layer.tarread import TarReader
from builder.layer.unpack import apply_plain
from builder.source.owners import Owner, Owners
from cache.wholefile import temp_name

_MAGIC_AT, _MAGIC = 257, b"ustar"
_BLOCK = 512
_TEXT_LIMIT = 64 << 20  # bytes of a Dockerfile


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Received(msgspec.Struct, frozen=True):
    """folder: the context's. text: of the Dockerfile, where the input was just that. owners: see LocalContext."""

    folder: str
    text: bytes | None
    owners: dict[bytes, Owner]


@contextmanager
def received(stream: _Readable, scratch: str, limits: Limits) -> Iterator[Received]:
    """What came, as long as the block lasts.

    scratch: a folder of the store for what is being written. limits: of an archive. Raises SourceFault.
    """
    folder = temp_name(os.path.join(scratch, "context-"))
    os.mkdir(folder, 0o700)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # it is in use: see Store.tidy
        owners = Owners()
        text = _receive(stream, fd, limits, owners)
        yield Received(folder, text, owners.by_path())
    finally:
        os.close(fd)
        parent = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(parent, os.fsencode(os.path.basename(folder)))
        finally:
            os.close(parent)


def _receive(stream: _Readable, fd: int, limits: Limits, owners: Owners) -> bytes | None:
    try:
        plain = open_plain(stream, limit=limits.size, ratio=limits.ratio, grace=limits.grace)
        head = _exactly(plain, _BLOCK)
        whole = _Again(head, plain)
        if head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
            apply_plain(_members(whole, limits, owners), fd, devices=False)
            return None
    except LayerFault as error:
        raise SourceFault(
            f"failed to read the build context from standard input: {error.message}", error.hint
        ) from error
    if plain.form:
        raise SourceFault("the standard input is compressed and no tar archive", "send a tar archive, or a Dockerfile")
    text = _exactly(whole, _TEXT_LIMIT + 1)
    if not text.strip():
        raise SourceFault("the standard input is empty", "send a tar archive, or a Dockerfile")
    if len(text) > _TEXT_LIMIT:
        raise SourceFault(f"failed to read dockerfile: the standard input has more than {_TEXT_LIMIT} bytes")
    return text


def _members(stream: _Again, limits: Limits, owners: Owners) -> Iterator[Item]:
    for entry, content in TarReader(stream, limits, what="the archive"):
        if entry.path:  # the folder itself stays ours
            owners.tell(entry)
            yield entry, content


def _exactly(stream: _Readable, size: int) -> bytes:
    """size bytes, fewer at the end."""
    parts: list[bytes] = []
    while size and (data := stream.read(min(size, 1 << 20))):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


class _Again:
    """A stream whose first bytes have been read already."""

    def __init__(self, head: bytes, rest: _Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        data, self._head = self._head[:size], self._head[size:]
        return data
