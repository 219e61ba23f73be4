"""SignatureChain: from the index of an image to what is attested of it, and to who signed that.

As BuildKit's policy-helpers find it: an index names, beside each image, the manifest of its attestations; a signature
is of that manifest, and refers to it (OCI distribution-spec, referrers). Docker hardened images have all as referrers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from builder.errors import ImageFault
from builder.oci.descriptor import MANIFESTS, OCI_INDEX, Descriptor
from builder.oci.manifest import Index, read_index
from builder.oci.match import best
from builder.oci.platform import Platform
from builder.policy.signatures.provenance import LIMIT, TYPES, ReadProvenance, parse_provenance
from cache import record
from cache.digest import Digest
from cache.errors import Fault

COSIGN = "application/vnd.dev.cosign.artifact.sig.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
PREDICATE = "in-toto.io/predicate-type"
_MANIFEST_LIMIT = 4 << 20  # bytes
_REFERENCE_TYPE, _REFERENCE = "vnd.docker.reference.type", "vnd.docker.reference.digest"
_DHI_BUILD, _TITLE = "com.docker.dhi.build.id", "org.opencontainers.image.title"


class Referrer(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest that names another as its subject, as a registry lists it."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    annotations: dict[str, str] | None = None

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, self.size, annotations=self.annotations or {})


class Referrers(msgspec.Struct, frozen=True):
    """A page of a registry's list of them."""

    manifests: tuple[Referrer, ...] = ()


class Repository(Protocol):
    """Where an image and what belongs to it are. Both raise Fault."""

    def read(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest or blob, which we check again."""

    def referrers(self, digest: Digest) -> Sequence[Referrer]:
        """What refers to a manifest."""


class AttestationManifest(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest of attestations or of a signature. subject: what it is about."""

    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""


class SignatureChain(msgspec.Struct, frozen=True):
    """image: the manifest for the platform. attestation, signature: None where there is none. hardened: Docker's."""

    image: Descriptor
    attestation: Descriptor | None
    signature: Descriptor | None
    hardened: bool


def resolve_chain(index: bytes, media_type: str, platform: Platform, repository: Repository) -> SignatureChain | None:
    """None where it is no OCI index: of a single image nothing is attested. index: bytes that were proved.

    Raises ImageFault, and what repository raises.
    """
    if media_type != OCI_INDEX:
        return None
    value = read_index(index)
    images = best([entry for entry in value.manifests if entry.media_type in MANIFESTS], platform)
    if not images:
        raise ImageFault(f"no manifest for platform {platform}")
    hardened = _is_hardened(value)
    found = _attested(images[0], value, repository if hardened else None)
    if found is None:
        return SignatureChain(images[0], None, None, hardened)
    kinds = {BUNDLE: 0, COSIGN: 1}
    signed = [one for one in repository.referrers(found.digest) if one.artifact_type in kinds]
    signed.sort(key=lambda one: kinds[one.artifact_type])
    return SignatureChain(images[0], found, signed[0].descriptor if signed else None, hardened)


def read_manifest_of(descriptor: Descriptor, repository: Repository) -> AttestationManifest:
    """A manifest of the chain, its digest proved. Raises ImageFault."""
    raw = read_proved(descriptor, repository, _MANIFEST_LIMIT)
    try:
        return record.decode(raw, AttestationManifest)
    except Fault as error:
        raise ImageFault(f"malformed manifest {descriptor.digest}: {error.message}") from None


def read_proved(descriptor: Descriptor, repository: Repository, limit: int) -> bytes:
    """A blob whose size and digest are what they should be. Raises ImageFault."""
    if descriptor.size > limit:
        raise ImageFault(f"{descriptor.digest} of {descriptor.size} bytes is too large: more than {limit}")
    raw = repository.read(descriptor)
    if len(raw) != descriptor.size or Digest.of(raw) != descriptor.digest:
        raise ImageFault(f"digest mismatch for blob {descriptor.digest}")
    return raw


def image_provenance(chain: SignatureChain, repository: Repository) -> ReadProvenance | None:
    """The first provenance among the attestations, None where there is none that can be read. Raises ImageFault."""
    if chain.attestation is None:
        return None
    for layer in read_manifest_of(chain.attestation, repository).layers:
        kind = layer.annotations.get(PREDICATE, "")
        if kind in TYPES:
            found = parse_provenance(read_proved(layer, repository, LIMIT), kind)
            if found is not None:
                return found
    return None


def _attested(image: Descriptor, index: Index, referring: Repository | None) -> Descriptor | None:
    """referring: where the attestations are referrers of the image, instead of being in the index."""
    if referring is not None:
        for one in referring.referrers(image.digest):
            if one.artifact_type == IN_TOTO and (one.annotations or {}).get(PREDICATE) in TYPES:
                return one.descriptor
        raise ImageFault(f"no attestation refers to the hardened image {image.digest}")
    for entry in index.manifests:
        about = entry.annotations.get(_REFERENCE_TYPE), entry.annotations.get(_REFERENCE)
        if about == ("attestation-manifest", str(image.digest)):
            return entry
    return None


def _is_hardened(index: Index) -> bool:
    titled = (index.annotations or {}).get(_TITLE, "").startswith("dhi/")
    return titled and all(entry.annotations.get(_DHI_BUILD) for entry in index.manifests)
