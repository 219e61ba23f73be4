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
    """reference: of the image, by its digest. A builder.policy.signatures.chain.Repository."""

    def __init__(self, registries: Registries, reference: Reference) -> None:
        self._registries, self._reference = registries, reference

    def top(self) -> Fetched:
        """What the digest names."""
        return self._registries.top(self._reference)

    def read(self, descriptor: Descriptor) -> bytes:
        if descriptor.media_type in MANIFESTS | INDEXES:
            return self._registries.document(self._reference, descriptor).raw
        return self._registries.small(self._reference, descriptor, _BLOB_LIMIT, "blob")

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        from builder.policy.signatures.chain import Referrers

        found = self._registries.referrers(self._reference, digest)
        try:
            pages = [record.decode(raw, Referrers) for raw in found]
        except CacheFault as error:
            raise ImageFault(f"{self._reference}: what refers to {digest} cannot be read: {error.message}") from error
        return tuple(one for page in pages for one in page.manifests)[:_MOST]
