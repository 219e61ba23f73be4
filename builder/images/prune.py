"""Prune: what nothing needs any more leaves the store. The caller holds the store's lock alone.

Order, so that a crash at any line leaves a state that the next run understands: first the rows and names that speak
of bytes, then the bytes, blobs before trees before leftovers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import msgspec

from builder.images.naming import BASE_MEMO
from builder.images.store import ImageStore
from builder.images.uses import USES
from builder.layer.opendirs import OpenDirs
from builder.layer.remove import remove
from builder.oci.descriptor import INDEXES, Descriptor
from builder.oci.manifest import read_index, read_manifest
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest
from cache.errors import Fault
from cache.record import recall
from cache.store import Store

_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")
_DEPTH = 4


class Pruned(msgspec.Struct, frozen=True):
    """images, blobs, results: how many went. reclaimed: bytes of disk."""

    images: int
    results: int
    blobs: int
    reclaimed: int


def prune(store: Store, images: ImageStore, everything: bool) -> Pruned:
    """Remove untagged images, blobs that nobody names and leftovers; with everything also the build cache.

    Tagged images always stay.
    """
    results = 0
    if everything:
        results = len(store.index.results())
        store.index.clear()
    untagged = len(images.forget_untagged())
    blobs, reclaimed = sweep(store, images)
    if everything:
        reclaimed += sum(_empty(store.path(name)) for name in ("snapshots", "stats", "caches", "git"))
    reclaimed += _empty(store.path("tmp")) + _empty(store.path(USES))
    return Pruned(untagged, results, blobs, reclaimed)


def sweep(store: Store, images: ImageStore) -> tuple[int, int]:
    """Remove the blobs that no image and no result needs; returns how many, and their bytes."""
    live = set(_of_images(store.blobs, images))
    for memo in store.index.memos(BASE_MEMO):
        base = recall(memo, Descriptor)
        if base is not None:
            live.update(_reach(store.blobs, base, _DEPTH))
    for _, record in store.index.results():
        # Whatever digest a record names keeps its blob: a sweep need not know the forms of records to be safe.
        live.update(Digest(found.decode()) for found in _DIGEST.findall(record))
    count = size = 0
    for digest in store.blobs.digests():
        if digest not in live:
            count += 1
            size += store.blobs.delete(digest)
    return count, size


def _of_images(blobs: BlobStore, images: ImageStore) -> Iterator[Digest]:
    for image in images.list():
        yield from _reach(blobs, image.descriptor, _DEPTH)


def _reach(blobs: BlobStore, descriptor: Descriptor, depth: int) -> Iterator[Digest]:
    yield descriptor.digest
    try:
        raw = blobs.read(descriptor.digest, limit=DOCUMENT_LIMIT)
        if descriptor.media_type in INDEXES:
            for entry in read_index(raw).manifests if depth else ():
                yield from _reach(blobs, entry, depth - 1)
            return
        manifest = read_manifest(raw)
    except Fault:
        return  # a manifest that is gone or damaged names nothing that could be used
    yield from (d.digest for d in (manifest.config, *manifest.layers))


def _empty(path: str) -> int:
    """Remove all that is in a folder, if it is there; returns the bytes of disk that it took."""
    if not os.path.isdir(path):
        return 0
    reclaimed = _usage(path)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(fd):
            remove(fd, os.fsencode(name))
    finally:
        os.close(fd)
    return reclaimed


def _usage(path: str) -> int:
    """Bytes of disk of all files below a folder, a file of several names counted once."""
    size = 0
    seen: set[tuple[int, int]] = set()
    with OpenDirs(path) as dirs:
        todo = [b""]
        while todo:
            folder = todo.pop()
            with os.scandir(dirs.fd(folder)) as found:
                for child in found:
                    name = os.fsencode(child.name)
                    if child.is_dir(follow_symlinks=False):
                        todo.append(folder + b"/" + name if folder else name)
                    status = child.stat(follow_symlinks=False)
                    inode = (status.st_dev, status.st_ino)
                    if status.st_nlink > 1 and inode in seen:
                        continue
                    if status.st_nlink > 1:
                        seen.add(inode)
                    size += status.st_blocks * 512
    return size
