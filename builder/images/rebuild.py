"""Finding images again in a store that lost its index: whatever blob reads as a manifest whose parts are all there."""

from __future__ import annotations

import os

from builder.oci.descriptor import OCI_MANIFEST, Descriptor
from builder.oci.manifest import read_manifest
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import Fault

_LIMIT = 256 << 10  # bytes; a manifest of 1,000 layers has 200 KiB


def found_images(blobs: BlobStore) -> list[Descriptor]:
    """Descriptors without annotations, in the order of their digests."""
    return [found for digest in blobs.digests() if (found := _manifest(blobs, digest)) is not None]


def _manifest(blobs: BlobStore, digest: Digest) -> Descriptor | None:
    try:
        size = blobs.size(digest)
        if size > _LIMIT or not _looks_like_json(blobs.path(digest)):
            return None
        manifest = read_manifest(blobs.read(digest, limit=_LIMIT))
    except (Fault, OSError):
        return None
    if all(blobs.has(d.digest, d.size) for d in (manifest.config, *manifest.layers)):
        return Descriptor(manifest.media_type or OCI_MANIFEST, digest, size)
    return None


def _looks_like_json(path: str) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, 1, 0) == b"{"
    finally:
        os.close(fd)
