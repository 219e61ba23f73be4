"""Signatures of images: of the manifest of attestations, as a Sigstore bundle or as cosign's older simple signing.

What must hold is what moby/policy-helpers asks: the attestations are of the image that was chosen, a SLSA provenance is
among them, the signature is of them, and who made it is in Sigstore's books. Docker's hardened images are signed by
Docker's own key instead of a certificate.
"""

from __future__ import annotations

from functools import partial

from builder.errors import NotVerified
from builder.oci.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from builder.policy.signatures.artifact import verified_statement
from builder.policy.signatures.attestationsignature import BUNDLE_V03, SIMPLE_SIGNING_V1, AttestationSignature
from builder.policy.signatures.chain import (
    BUNDLE,
    PREDICATE,
    AttestationManifest,
    Repository,
    SignatureChain,
    read_manifest_of,
    read_proved,
)
from builder.policy.signatures.guard import guarded
from builder.policy.signatures.provenance import TYPES
from builder.policy.signatures.signer import SignerInfo
from builder.policy.signatures.simplesigning import MEDIA_TYPE, read_payload, verify_by_certificate, verify_by_docker
from builder.policy.signatures.trustroot import LIMIT, TrustRoot, read_bundle


def image_signature(trust: TrustRoot, chain: SignatureChain, repository: Repository) -> AttestationSignature | None:
    """Who signed an image, None where there is no signature. Raises SignatureFault, NotVerified, ImageFault."""
    if chain.attestation is None or chain.signature is None:
        return None
    attestations = read_manifest_of(chain.attestation, repository)
    signature = read_manifest_of(chain.signature, repository)
    _is_of(attestations, chain.image, f"the attestation manifest {chain.attestation.digest}")
    if not any(layer.annotations.get(PREDICATE) in TYPES for layer in attestations.layers):
        raise NotVerified(f"the attestation manifest {chain.attestation.digest} has no SLSA provenance")
    what = f"the signature {chain.signature.digest}"
    _is_of(signature, chain.attestation, what)
    if not signature.layers:
        raise NotVerified(f"{what} is empty")
    layer = signature.layers[0]
    content = partial(read_proved, layer, repository, LIMIT)
    if layer.media_type == BUNDLE and signature.artifact_type == BUNDLE and not chain.hardened:
        return _by_bundle(trust, chain.attestation, content(), what)
    if layer.media_type == MEDIA_TYPE:
        payload = read_payload(content(), chain.attestation.digest, what)
        verify = verify_by_docker if chain.hardened else verify_by_certificate
        timestamps, signer = verify(trust, layer, what)
        return AttestationSignature(
            type=SIMPLE_SIGNING_V1,
            timestamps=timestamps,
            docker_reference=payload.reference,
            is_hardened=chain.hardened,
            signer=signer,
        )
    raise NotVerified(f"{what} is of a kind that is not verified: {layer.media_type!r:.200}")


def _by_bundle(trust: TrustRoot, attestation: Descriptor, raw: bytes, what: str) -> AttestationSignature:
    bundle = read_bundle(raw)
    if bundle._inner.dsse_envelope is not None:
        verified_statement(trust, attestation.digest, bundle, what)
    else:
        trust.message(bytes.fromhex(attestation.digest.hex), bundle, what)
    signer = guarded(partial(SignerInfo.of, bundle.signing_certificate), what, NotVerified)
    return AttestationSignature(type=BUNDLE_V03, timestamps=trust.timestamps(bundle, what), signer=signer)


def _is_of(manifest: AttestationManifest, about: Descriptor, what: str) -> None:
    subject = manifest.subject
    if subject is None:
        raise NotVerified(f"{what} has no subject")
    if (subject.digest, subject.size) != (about.digest, about.size):
        raise NotVerified(f"{what} is of {subject.digest}, not of {about.digest}")
    if subject.media_type not in (OCI_MANIFEST, OCI_INDEX):
        raise NotVerified(f"{what} is of no image: {subject.media_type!r:.200}")
