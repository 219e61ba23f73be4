"""Records: what is known of steps, as it crosses from one machine to another.

A cache is an OCI image manifest whose config is a document of the media type CACHE_CONFIG and whose layers are
results; or an index of the same parts; or an image whose config has the document under builder.solve.assemble.CACHE.
"""

from __future__ import annotations

from typing import Any

import msgspec

from builder.errors import ImageFault
from builder.layer.layer import Layer
from builder.oci.descriptor import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    Descriptor,
)
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault

_LAYERS = frozenset({OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD})
_AS_OCI = {DOCKER_LAYER: OCI_LAYER, DOCKER_LAYER_GZIP: OCI_LAYER_GZIP, DOCKER_LAYER_ZSTD: OCI_LAYER_ZSTD}
CACHE_CONFIG = "application/vnd.lapstrake.cache.v1+json"


class Record(msgspec.Struct, frozen=True):
    """A step's key, the diff_id of the layer that it made, and the ChainIDs of the trees that it was made on."""

    key: Digest
    diff_id: Digest
    on: tuple[Digest, ...] = ()


class Selected(msgspec.Struct, frozen=True):
    """What a selection in certain trees holds: its name (see Lookup), and a digest for each tree."""

    name: Digest
    contents: tuple[Digest, ...]


class MountRecord(msgspec.Struct, frozen=True):
    """A cache mount: the name of its folder, and the diff_id of its archive."""

    name: str
    diff_id: Digest


class Records(msgspec.Struct, frozen=True):
    """results: also of steps whose layers are not there; their keys and trees lead to those of others.

    diff_ids: of the layers that are there, in the order of the manifest's; empty in an image, whose config names its
    own. mounts: cache mounts, whose archives follow the layers in the manifest.
    """

    results: tuple[Record, ...] = ()
    selected: tuple[Selected, ...] = ()
    diff_ids: tuple[Digest, ...] = ()
    mounts: tuple[MountRecord, ...] = ()
    version: int = 1


def bare(diff_id: Digest) -> Layer:
    """A layer of which only the name is known."""
    return Layer(diff_id, Descriptor(OCI_LAYER, diff_id, 0))


def is_bare(layer: Layer) -> bool:
    return not layer.blob.size


class Shared(msgspec.Struct, frozen=True):
    """Records with the layers and archives of cache mounts that are there."""

    records: Records
    layers: tuple[Layer, ...]
    mounts: dict[str, Layer]


def encode(records: Records) -> bytes:
    return record.encode(records)


def decode(raw: bytes, blobs: tuple[Descriptor, ...]) -> Shared:
    """blobs: the layers of the manifest. Raises ImageFault where they do not fit, CacheFault for another shape."""
    records = record.decode(raw, Records)
    return _shared(records, records.diff_ids, blobs)


def from_config(value: Any, diff_ids: tuple[Digest, ...], blobs: tuple[Descriptor, ...]) -> Shared:
    """The same of what an image's config has under CACHE. diff_ids: of the image."""
    return _shared(record.decode(msgspec.json.encode(value), Records), diff_ids, blobs)


def to_config(records: Records) -> Any:
    """What goes under CACHE."""
    return msgspec.json.decode(encode(msgspec.structs.replace(records, diff_ids=())))


def _shared(records: Records, diff_ids: tuple[Digest, ...], blobs: tuple[Descriptor, ...]) -> Shared:
    if records.version != 1:
        raise CacheFault(f"its records are of version {records.version}", "a newer lapstrake can read them")
    ids = (*diff_ids, *(mount.diff_id for mount in records.mounts))
    if len(ids) != len(blobs):
        raise ImageFault(f"it has {len(blobs)} layers, and names {len(ids)}")
    if not all(blob.size for blob in blobs):
        raise ImageFault("it has a layer of no bytes")
    layers = [Layer(i, Descriptor(_form(b), b.digest, b.size)) for i, b in zip(ids, blobs, strict=True)]
    own = len(diff_ids)
    return Shared(
        records,
        tuple(layer for layer in layers[:own] if layer.blob.media_type in _LAYERS),
        {mount.name: layer for mount, layer in zip(records.mounts, layers[own:], strict=True)},
    )


def _form(blob: Descriptor) -> str:
    return _AS_OCI.get(blob.media_type, blob.media_type)
