"""One file of a tar archive that is a blob, without unpacking it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from builder.errors import LayerFault, SourceFault
from builder.layer.entry import Content, Entry, Item, Kind
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from builder.layer.plain import open_plain
from builder.layer.tree import resolve
from cache.blobs import BlobStore
from cache.digest import Digest

_TAR_MAGIC_AT = 257
_BLOCK = 512


class _Last:
    """The last member of each name."""

    def __init__(self, entries: dict[bytes, Entry]) -> None:
        self._entries = entries

    def lookup(self, path: bytes) -> Entry | None:
        return self._entries.get(path)


def read_member(blobs: BlobStore, digest: Digest, name: str, limit: int, limits: Limits) -> bytes | None:
    """The bytes of a file, links followed inside; None if it is not there. SourceFault above limit bytes.

    limits: of the archive.
    """
    entries: dict[bytes, Entry] = {}
    for entry, _ in _items(blobs, digest, limits):
        entries[_clean(entry.path)] = entry
    path = resolve(_Last(entries), os.fsencode(name))
    found = entries.get(path)
    if found is not None and found.kind is Kind.HARDLINK:
        path = _clean(found.link)
        found = entries.get(path)
    if found is None or found.kind is not Kind.FILE:
        return None
    if found.size > limit:
        raise SourceFault(f"failed to read dockerfile: {name} has more than {limit} bytes")
    data = b""
    for entry, content in _items(blobs, digest, limits):
        if _clean(entry.path) == path and content is not None:
            data = b"".join(content.chunks())
    return data


def _items(blobs: BlobStore, digest: Digest, limits: Limits) -> Iterator[Item]:
    with blobs.open(digest) as reader:
        yield from open_archive(reader, limits, "the context's archive")


def _clean(path: bytes) -> bytes:
    return os.path.normpath(b"/" + path).lstrip(b"/")


def looks_like_tar(content: Content, size: int) -> bool:
    """Whether a file's content is a tar archive, whatever it is called; only its first bytes are read."""
    if not size:
        return False
    try:
        stream = open_plain(ContentStream(content))
        head = b""
        while len(head) < _BLOCK and (more := stream.read(_BLOCK - len(head))):
            head += more
    except LayerFault:
        return False
    return len(head) == _BLOCK and _is_header(head)


def _is_header(head: bytes) -> bool:
    try:
        stated = int(head[148:156].split(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 8 * 32 + sum(head[156:]) and (
        head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar" or head[:1] != b"\0"
    )


class ContentStream:
    """A Content as something to read() from."""

    def __init__(self, content: Content) -> None:
        self._chunks = content.chunks()
        self._data = b""

    def read(self, size: int, /) -> bytes:
        if not self._data:
            self._data = next(self._chunks, b"")
        part, self._data = self._data[:size], self._data[size:]
        return part
