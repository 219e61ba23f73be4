"""A layer whose members are no younger than a date (rewrite-timestamp): other bytes, so another diff_id."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from builder.layer import whiteout
from builder.layer.codec import Codec
from builder.layer.entry import Item
from builder.layer.layer import Layer
from builder.layer.pack import pack
from builder.layer.plain import open_plain
from builder.layer.tarread import TarReader
from cache import record
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.index import Index

_KIND = "layer-rewritten"


def rewritten(layer: Layer, epoch: int, codec: Codec, blobs: BlobStore, index: Index) -> Layer:
    """The layer with later times set to the epoch, in seconds; itself where it has none.

    What was made once is remembered by (diff_id, epoch, codec), so that a second export gives the same blob.
    """
    key = Digest.of(f"{layer.diff_id} {epoch} {codec.fingerprint}".encode())
    known = record.recall(index.memo(_KIND, key), Layer)
    if known is not None and (known.diff_id == layer.diff_id or blobs.has(known.blob.digest, known.blob.size)):
        return layer if known.diff_id == layer.diff_id else known
    with blobs.open(layer.blob.digest) as reader, blobs.writer() as writer:
        items = whiteout.from_oci(TarReader(open_plain(reader)))
        made = pack(_clamped(items, epoch), codec, writer)
        reader.finish()
    index.put_memo(_KIND, key, record.encode(made))
    return layer if made.diff_id == layer.diff_id else made


def _clamped(items: Iterator[Item], epoch: int) -> Iterator[Item]:
    for entry, content in items:
        yield msgspec.structs.replace(entry, mtime=min(entry.mtime, epoch)), content
