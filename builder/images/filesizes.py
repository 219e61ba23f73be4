"""How much a layer holds: the bytes of its files and the text of its links, as Docker's history shows it."""

from __future__ import annotations

from builder.layer.entry import Entry, Kind
from builder.layer.layer import Layer
from builder.layer.plain import open_plain
from builder.layer.tarread import TarReader
from cache.blobs import BlobStore
from cache.index import Index

_MEMO = "layer-files"


def files_size(layer: Layer, blobs: BlobStore, index: Index) -> int:
    """Bytes; the layer is read once for it. Raises Fault where it is damaged."""
    known = index.memo(_MEMO, layer.diff_id)
    if known is not None and known.isdigit():
        return int(known)
    with blobs.open(layer.blob.digest) as reader:
        size = sum(_size(entry) for entry, _ in TarReader(open_plain(reader)))
        reader.finish()
    index.put_memo(_MEMO, layer.diff_id, str(size).encode())
    return size


def _size(entry: Entry) -> int:
    return entry.size if entry.kind is Kind.FILE else len(entry.link) if entry.kind is Kind.SYMLINK else 0
