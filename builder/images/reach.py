"""What an image is made of: every blob that its manifest or index leads to."""

from __future__ import annotations

from collections.abc import Iterator

from builder.oci.descriptor import INDEXES, Descriptor
from builder.oci.manifest import read_index, read_manifest
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest
from cache.errors import Fault

_DEPTH = 4  # indexes in indexes


def reach(blobs: BlobStore, descriptor: Descriptor, depth: int = _DEPTH) -> Iterator[Digest]:
    """The digests of an image's parts, itself first, whether they are in the store or not."""
    yield descriptor.digest
    try:
        raw = blobs.read(descriptor.digest, limit=DOCUMENT_LIMIT)
        if descriptor.media_type in INDEXES:
            for entry in read_index(raw).manifests if depth else ():
                yield from reach(blobs, entry, depth - 1)
            return
        manifest = read_manifest(raw)
    except Fault:
        return  # a manifest that is gone or damaged names nothing that could be used
    yield from (d.digest for d in (manifest.config, *manifest.layers))
