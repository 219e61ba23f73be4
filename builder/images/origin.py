"""Where layers came from, remembered by the digests of their blobs: a damaged one can be had again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from builder.layer.layer import Layer
from builder.oci.reference import Reference
from cache import record
from cache.digest import Digest
from cache.index import Index

ORIGIN_MEMO = "origin"


class Origin(msgspec.Struct, frozen=True):
    """name: of the image, at a registry, that the layer is of."""

    name: str
    layer: Layer

    @property
    def reference(self) -> Reference:
        return Reference.parse(self.name)


def note_origin(index: Index, reference: Reference, layers: Iterable[Layer]) -> None:
    """The last place counts."""
    index.put_memos(
        ORIGIN_MEMO, [(layer.blob.digest, record.encode(Origin(str(reference), layer))) for layer in layers]
    )


def origin_of(index: Index, blob: Digest) -> Origin | None:
    """None for what was made here, or came in an archive."""
    return record.recall(index.memo(ORIGIN_MEMO, blob), Origin)
