"""Attested: what a registry has beside an image: attestations, and signatures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import ImageFault
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.reference import Reference
from builder.registry.client import Fetched
from builder.registry.registries import Registries
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault

if TYPE_CHECKING:
    from builder.policy.signatures.chain import Referrer

_BLOB_LIMIT = 64 << 20  # bytes
_MOST = 1000  # referrers of one manifest


class Attested:
    """reference: of the image, by its digest. A builder.policy.signatures.chain.Repository.

    Each question is asked once: a policy looks several times.
    """

    def __init__(self, registries: Registries, reference: Reference) -> None:
        self._registries, self._reference = registries, reference
        self._top: Fetched | None = None
        self._read: dict[tuple[str, Digest, int], bytes] = {}
        self._referring: dict[Digest, tuple[Referrer, ...]] = {}

    def top(self) -> Fetched:
        """What the digest names."""
        if self._top is None:
            self._top = self._registries.top(self._reference)
        return self._top

    def read(self, descriptor: Descriptor) -> bytes:
        key = descriptor.media_type, descriptor.digest, descriptor.size
        if key not in self._read:
            self._read[key] = self._fetched(descriptor)
        return self._read[key]

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        if digest not in self._referring:
            self._referring[digest] = self._listed(digest)
        return self._referring[digest]

    def _fetched(self, descriptor: Descriptor) -> bytes:
        if descriptor.media_type in MANIFESTS | INDEXES:
            return self._registries.document(self._reference, descriptor).raw
        return self._registries.small(self._reference, descriptor, _BLOB_LIMIT, "blob")

    def _listed(self, digest: Digest) -> tuple[Referrer, ...]:
        from builder.policy.signatures.chain import Referrers

        found = self._registries.referrers(self._reference, digest)
        try:
            pages = [record.decode(raw, Referrers) for raw in found]
        except CacheFault as error:
            raise ImageFault(f"{self._reference}: what refers to {digest} cannot be read: {error.message}") from error
        return tuple(one for page in pages for one in page.manifests)[:_MOST]
