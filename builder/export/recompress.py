"""A layer in another stored form: its plain bytes, and so its diff_id, stay what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

from builder.errors import LayerFault
from builder.layer.codec import Codec
from builder.layer.layer import Layer
from builder.layer.plain import PlainStream, open_plain
from builder.oci.descriptor import DOCKER_LAYER, DOCKER_LAYER_GZIP, OCI_LAYER, OCI_LAYER_GZIP, Descriptor
from cache import record
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.index import Index

_CHUNK = 1 << 20
_SAME = {DOCKER_LAYER: OCI_LAYER, DOCKER_LAYER_GZIP: OCI_LAYER_GZIP}


class Variants(Protocol):
    """What is known of stored forms of layers: (diff_id, fingerprint of a codec) -> blob."""

    def get(self, diff_id: Digest, fingerprint: str) -> Descriptor | None: ...

    def put(self, diff_id: Digest, fingerprint: str, blob: Descriptor) -> None: ...


class IndexVariants:
    """Variants as memos of the store's index."""

    _KIND = "layer-variant"

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, diff_id: Digest, fingerprint: str) -> Descriptor | None:
        value = self._index.memo(self._KIND, _key(diff_id, fingerprint))
        return record.recall(value, Descriptor)

    def put(self, diff_id: Digest, fingerprint: str, blob: Descriptor) -> None:
        self._index.put_memo(self._KIND, _key(diff_id, fingerprint), record.encode(blob))


def _key(diff_id: Digest, fingerprint: str) -> Digest:
    return Digest.of(f"{diff_id} {fingerprint}".encode())


def recompress(layer: Layer, codec: Codec, blobs: BlobStore, variants: Variants, exact: bool = False) -> Layer:
    """The layer in the codec's form; itself if it is in that form already.

    exact: the very codec and level, where else any blob of the same media type will do. Raises LayerFault where the
    layer's bytes are not those of its diff_id.
    """
    if not exact and _SAME.get(layer.blob.media_type, layer.blob.media_type) == codec.media_type:
        return layer
    known = variants.get(layer.diff_id, codec.fingerprint)
    if known is not None and blobs.has(known.digest, known.size):
        return Layer(layer.diff_id, known)
    with blobs.open(layer.blob.digest) as reader, blobs.writer() as writer:
        plain = _Checked(open_plain(reader), layer.diff_id)
        for data in codec.compress(plain.chunks()):
            writer.write(data)
        reader.finish()
        digest, size = writer.commit()
    blob = Descriptor(codec.media_type, digest, size)
    variants.put(layer.diff_id, codec.fingerprint, blob)
    return Layer(layer.diff_id, blob)


class _Checked:
    """The plain bytes, checked against their diff_id when their end is reached."""

    def __init__(self, plain: PlainStream, diff_id: Digest) -> None:
        self._plain, self._diff_id = plain, diff_id

    def chunks(self) -> Iterator[bytes]:
        hashed = hashlib.sha256()
        while data := self._plain.read(_CHUNK):
            hashed.update(data)
            yield data
        if hashed.hexdigest() != self._diff_id.hex:
            raise LayerFault(f"layer {self._diff_id} is damaged: its plain bytes are sha256:{hashed.hexdigest()}")
