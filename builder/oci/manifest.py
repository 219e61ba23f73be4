"""Manifest, Index and Document (OCI image-spec manifest.md, image-index.md)."""

from typing import Any, Generic, TypeVar

import msgspec

from builder.errors import ImageFault
from builder.oci.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from cache import record
from cache.errors import Fault

T = TypeVar("T")


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    config: Descriptor
    layers: tuple[Descriptor, ...]
    schema_version: int = 2
    media_type: str = OCI_MANIFEST
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, rename="camel"):
    manifests: tuple[Descriptor, ...] = ()
    schema_version: int = 2
    media_type: str = OCI_INDEX
    annotations: dict[str, str] | None = None


class Document(msgspec.Struct, Generic[T], frozen=True):
    """Bytes as they were read, with their parsed view: the bytes are what a digest names, never our re-encoding."""

    raw: bytes
    value: T
    descriptor: Descriptor


def encode(value: Manifest | Index) -> bytes:
    """Bytes of a new manifest or index, without the fields that are not there."""
    plain: dict[str, Any] = msgspec.to_builtins(value, enc_hook=str)
    return record.encode({k: v for k, v in plain.items() if v is not None})


def read_manifest(raw: bytes) -> Manifest:
    """Parse a manifest; raises ImageFault."""
    return _read(raw, Manifest, "manifest")


def read_index(raw: bytes) -> Index:
    """Parse an index; raises ImageFault."""
    return _read(raw, Index, "index")


def _read(raw: bytes, kind: type[T], word: str) -> T:
    try:
        return record.decode(raw, kind)
    except Fault as error:
        raise ImageFault(f"image {word} is malformed: {error.message}") from error
