"""Finding images again in a store that lost its index: whatever blob reads as a manifest whose parts are all there.

An index of which any manifest is there is one image; its manifests are then not listed by themselves.
"""

from __future__ import annotations

import os

from builder.oci.descriptor import INDEXES, MANIFESTS, OCI_INDEX, OCI_MANIFEST, Descriptor
from builder.oci.manifest import read_index, read_manifest
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import Fault

_LIMIT = 256 << 10  # bytes; a manifest of 1,000 layers has 200 KiB


def found_images(blobs: BlobStore) -> list[Descriptor]:
    """Descriptors without annotations, in the order of their digests."""
    found: list[Descriptor] = []
    members: set[Digest] = set()
    for digest in blobs.digests():
        raw = _document(blobs, digest)
        image = _manifest(blobs, digest, raw) if raw is not None else None
        if image is not None:
            found.append(image)
        elif raw is not None:
            held = _members(blobs, raw)
            members |= held
            if held:
                found.append(Descriptor(_media_type(raw), digest, len(raw)))
    return [image for image in found if image.digest not in members]


def _document(blobs: BlobStore, digest: Digest) -> bytes | None:
    try:
        size = blobs.size(digest)
        if size > _LIMIT or not _looks_like_json(blobs.path(digest)):
            return None
        return blobs.read(digest, limit=_LIMIT)
    except (Fault, OSError):
        return None


def _manifest(blobs: BlobStore, digest: Digest, raw: bytes) -> Descriptor | None:
    try:
        manifest = read_manifest(raw)
    except Fault:
        return None
    if all(blobs.has(d.digest, d.size) for d in (manifest.config, *manifest.layers)):
        return Descriptor(manifest.media_type or OCI_MANIFEST, digest, len(raw))
    return None


def _members(blobs: BlobStore, raw: bytes) -> set[Digest]:
    """The manifests and indexes of an index that are in the store; none if it is no index."""
    try:
        entries = read_index(raw).manifests
    except Fault:
        return set()
    return {d.digest for d in entries if d.media_type in MANIFESTS | INDEXES and blobs.has(d.digest, d.size)}


def _media_type(raw: bytes) -> str:
    return read_index(raw).media_type or OCI_INDEX


def _looks_like_json(path: str) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, 1, 0) == b"{"
    finally:
        os.close(fd)
