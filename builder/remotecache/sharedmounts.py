"""Shared cache mounts: the caches of RUN --mount=type=cache as blobs beside a cache's layers, if that is asked for."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from builder.errors import Canceled
from builder.layer.codec import codec
from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from builder.layer.remove import remove
from builder.layer.unpack import apply_plain
from builder.oci.descriptor import Descriptor
from builder.remotecache.storage import Moved, Storage
from builder.solve.cachefolders import CacheFolders, noted
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import Fault
from cache.wholefile import temp_name

MEDIA_TYPE = "application/vnd.lapstrake.cachemount.v1.tar+zstd"


@contextmanager
def aside(scratch: str) -> Iterator[BlobStore]:
    """A store of blobs that are gone when the block ends. scratch: the folder that it is made in."""
    path = temp_name(os.path.join(scratch, "mounts-"))
    os.makedirs(os.path.join(path, "blobs", "sha256"), mode=0o700)
    os.mkdir(os.path.join(path, "tmp"))
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # says to Store.tidy that it is in use
        yield BlobStore(path)
    finally:
        _empty(fd)
        os.rmdir(path)
        os.close(fd)


def packed(
    folders: CacheFolders, names: Iterable[str], limit: int, blobs: BlobStore, warn: Callable[[str], None]
) -> dict[str, Layer]:
    """The caches of these names, stored in blobs; those that are not there, are in use or too large are left out.

    folders: must not wait. limit: bytes of all archives together, before they are compressed.
    """
    wanted, left = frozenset(names), limit
    found: dict[str, Layer] = {}
    for cache in folders.all():
        if cache.name not in wanted or not os.path.isdir(cache.path):
            continue
        try:
            with blobs.writer() as writer:
                archive = _Archive(writer.write)
                folders.write(cache, archive.take, left)
                digest, size = writer.commit()
            found[cache.name] = Layer(archive.diff_id, Descriptor(MEDIA_TYPE, digest, size))
            left = max(left - archive.size, 0)
        except Canceled:
            warn(f"cache mount {cache.id} is in use and not exported")
        except Fault as error:
            warn(f"cache mount {cache.id} is not exported: {error.message}")
    return found


def fill(storage: Storage, layer: Layer, path: str, limits: Limits, scratch: str, moved: Moved) -> None:
    """Unpack what a storage has of a cache into an empty folder, which stays empty where that fails. Raises Fault."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with aside(scratch) as blobs:
            storage.fetch(layer, blobs, moved)
            with blobs.open(layer.blob.digest) as reader:
                apply_plain(noted(open_archive(reader, limits, storage.name), []), fd, devices=False)
                reader.finish()
    except BaseException:
        _empty(fd)
        raise
    finally:
        os.close(fd)


def _empty(fd: int) -> None:
    for name in os.listdir(fd):
        with suppress(FileNotFoundError):
            remove(fd, os.fsencode(name))


class _Archive:
    """The bytes of one archive, compressed on their way to write. size, diff_id: of the plain bytes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self._hash, self.size = write, hashlib.sha256(), 0

    def take(self, chunks: Iterator[bytes]) -> None:
        for data in codec("zstd").compress(self._through(chunks)):
            self._write(data)

    @property
    def diff_id(self) -> Digest:
        return Digest(self._hash.hexdigest())

    def _through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for data in chunks:
            self._hash.update(data)
            self.size += len(data)
            yield data
