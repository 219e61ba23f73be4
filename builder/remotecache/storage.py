"""Storage: one place that keeps a cache, and Report: what is said while it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference
from cache.blobs import BlobStore
from cache.digest import Digest

Moved = Callable[[int], None]
"""Told how many bytes have come so far."""


class Storage(Protocol):
    """Blobs by digest, and one manifest under a name. Safe for many threads. Each method raises the Faults of its
    kind of place; what is read is checked, size and digest, before it is given."""

    @property
    def name(self) -> str:
        """As a person calls it; without credentials."""
        ...

    @property
    def reference(self) -> Reference | None:
        """Its repository, if it is one of a registry."""
        ...

    def manifest(self) -> bytes:
        """The bytes under its name."""
        ...

    def document(self, blob: Descriptor) -> bytes:
        """A small blob, or a manifest that an index names."""
        ...

    def fetch(self, layer: Layer, blobs: BlobStore, moved: Moved) -> None:
        """Store a layer's blob, both its digests proved."""
        ...

    def has(self, blob: Descriptor) -> bool: ...

    def mount(self, blob: Descriptor, source: Reference) -> bool:
        """Take a blob over from a neighbour without moving it; whether that was done."""
        ...

    def send(self, blob: Descriptor, blobs: BlobStore) -> None:
        """Write a blob that the store has."""
        ...

    def put(self, blob: Descriptor, raw: bytes) -> None:
        """Write a small blob."""
        ...

    def publish(self, manifest: Descriptor, raw: bytes) -> None:
        """Write a manifest under the name. All it names is there."""
        ...

    def cancel(self) -> None:
        """Whatever is under way or asked for fails with Canceled, until resume()."""
        ...

    def resume(self) -> None: ...


class Report(Protocol):
    def warn(self, text: str) -> None: ...

    def begin(self, what: str) -> Digest: ...

    def done(self, digest: Digest) -> None: ...

    def moved(self, digest: Digest, blob: Digest, count: int, size: int) -> None:
        """So many bytes of a blob have come in the work that begin() announced."""
        ...
