"""Making a layer of the archive of a root file system, which becomes the one layer of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from builder.errors import LayerFault, SourceFault
from builder.layer.codec import codec
from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.layer.plain import open_plain
from builder.layer.tarread import Readable, TarReader
from builder.oci.descriptor import Descriptor
from cache.blobs import BlobStore
from cache.digest import Digest

_TAIL = 64 << 20  # bytes after the archive's end that are kept in memory


def import_tar(stream: Readable, where: str, blobs: BlobStore, limits: Limits) -> Layer:
    """Store a tar archive, however it is compressed, as a gzip layer of the very same archive.

    Raises SourceFault where it is none that could be unpacked, and beyond limits; nothing is stored then.
    """
    plain = _Passing(open_plain(stream, limit=limits.size, ratio=limits.ratio, grace=limits.grace))
    form = codec("gzip")
    try:
        with blobs.writer() as writer:
            for data in form.compress(_members(plain, TarReader(plain, limits, what="the archive"))):
                writer.write(data)
            digest, size = writer.commit()
    except LayerFault as error:
        hint = error.hint or "give the archive of a root file system, as `tar -C FOLDER -c .` makes one"
        raise SourceFault(f"{where}: {error.message}", hint) from error
    return Layer(plain.digest, Descriptor(form.media_type, digest, size))


def _members(plain: _Passing, reader: TarReader) -> Iterator[bytes]:
    """All bytes of the archive, as far as its reader has come."""
    for _, content in reader:
        yield from plain.passed()
        for _ in content.chunks() if content is not None else ():
            yield from plain.passed()
    yield from plain.passed()


class _Passing:
    """A stream whose bytes are hashed, and kept until passed() gives them."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._held = 0

    @property
    def digest(self) -> Digest:
        return Digest(self._hash.hexdigest())

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        self._pieces.append(data)
        self._held += len(data)
        if self._held > _TAIL:
            raise LayerFault(f"more than {_TAIL} bytes follow the end of the archive")
        return data

    def passed(self) -> list[bytes]:
        pieces, self._pieces, self._held = self._pieces, [], 0
        return [piece for piece in pieces if piece]
