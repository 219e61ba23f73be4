"""Writing a layer in one pass: members -> tar -> sha256 (diff_id) -> codec -> sha256 and size (blob) -> sink.

Reading, hashing and compressing overlap in a few threads; what is in flight is bounded to a few MiB.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from builder.errors import LayerFault
from builder.layer import tarfmt, whiteout
from builder.layer.codec import Codec, blocks
from builder.layer.entry import Content, Entry, Item, Kind, shown
from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from cache.digest import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_HASHES_AHEAD = 4


class BlobSink(Protocol):
    """Where the stored form goes; entered and left by whoever made it."""

    def write(self, data: bytes, /) -> object: ...

    def commit(self) -> tuple[Digest, int]:
        """Make the blob appear whole; its digest and size in bytes."""
        ...


def pack(
    items: Iterable[Item], codec: Codec, sink: BlobSink, listing: Callable[[Entry], object] | None = None
) -> Layer:
    """Write members, in the order they come, as one layer.

    listing is called with each Entry as it passes (marks as marks). Raises LayerFault if a path comes twice or a file
    is not as long as its entry says.
    """
    diff = _Hash()
    try:
        for data in codec.compress(diff.through(blocks(tar_chunks(items, listing=listing)))):
            sink.write(data)
        diff_id = diff.digest()
    finally:
        diff.close()
    digest, size = sink.commit()
    return Layer(diff_id, Descriptor(media_type=codec.media_type, digest=digest, size=size))


def tar_chunks(
    items: Iterable[Item], *, marks: bool = True, listing: Callable[[Entry], object] | None = None
) -> Iterator[bytes]:
    """The archive of a stream of members, in pieces of any size.

    marks: this is a layer, where names that start with .wh. are marks; False for an ordinary archive.
    """
    seen: set[bytes] = set()
    for entry, content in items:
        if listing is not None:
            listing(entry)
        member = whiteout.to_oci(entry) if marks else entry
        if member.path in seen:
            raise LayerFault(f"{shown(member.path)} comes twice in one archive")
        seen.add(member.path)
        header = tarfmt.header(member)
        if member.kind is Kind.FILE and member.size:
            yield from _file(header, member, content)
        else:
            yield header
    yield tarfmt.END


def _file(header: bytes, entry: Entry, content: Content | None) -> Iterator[bytes]:
    yield header
    left = entry.size
    for data in content.chunks() if content is not None else ():
        left -= len(data)
        if left < 0:
            break
        yield data
    if left:
        raise LayerFault(
            f"{shown(entry.path)} changed while it was read", "make sure that nothing else writes to it and build again"
        )
    yield tarfmt.padding(entry.size)


class _Hash:
    """sha256 of blocks that pass, one thread behind; a lone block is hashed here."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._waiting: deque[Future[None]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        held = next(pieces, None)
        if held is None:
            return
        for piece in pieces:
            self._submit(held)
            yield held
            held = piece
        if self._pool is None:
            self._hash.update(held)
        else:
            self._submit(held)
        yield held

    def digest(self) -> Digest:
        while self._waiting:
            self._waiting.popleft().result()
        return Digest(self._hash.hexdigest())

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, piece: bytes) -> None:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1, thread_name_prefix="diff-id")
        if len(self._waiting) >= _HASHES_AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._hash.update, piece))
