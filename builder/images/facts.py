"""What lists of images show of each, remembered by the digest of its manifest so that a long list is short work."""

from __future__ import annotations

import msgspec

from builder.images.store import ImageStore, StoredImage
from builder.oci.descriptor import INDEXES
from cache import record
from cache.blobs import BlobStore
from cache.errors import Fault
from cache.index import Index

_MEMO = "image-facts"


class Facts(msgspec.Struct, frozen=True):
    """id: `sha256:…` of the config, or of an index. size: bytes as stored. labels: of the (first) config."""

    id: str
    size: int
    labels: dict[str, str]


def facts(stored: StoredImage, images: ImageStore, blobs: BlobStore, index: Index) -> Facts:
    """Raises Fault where documents are damaged. What is here of an index may change, so it is not remembered."""
    descriptor = stored.descriptor
    lasting = descriptor.media_type not in INDEXES
    known = index.memo(_MEMO, descriptor.digest) if lasting and blobs.has(descriptor.digest, descriptor.size) else None
    if known is not None:
        try:
            return record.decode(known, Facts)
        except Fault:
            pass  # of another version: found out again
    config = next((image.config for image in images.members(descriptor)), None)
    labels = dict(config.runtime.labels) if config is not None else {}
    found = Facts(str(images.id(stored)), images.size(descriptor), labels)
    if lasting:
        index.put_memo(_MEMO, descriptor.digest, record.encode(found))
    return found
