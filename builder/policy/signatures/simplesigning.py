"""cosign's simple signing: a payload that names a manifest, its signature in annotations (cosign, SIGNATURE_SPEC.md).

The entry of the transparency log is only promised (a signed timestamp), not proved to be in the tree: that is all that
these signatures have, and what cosign and BuildKit accept, too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from builder.errors import NotVerified
from builder.oci.descriptor import Descriptor
from builder.policy.signatures.attestationsignature import Timestamp
from builder.policy.signatures.guard import guarded
from builder.policy.signatures.signer import SignerInfo
from builder.policy.signatures.trustroot import TrustRoot, rfc3339
from cache.digest import Digest

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_CERTIFICATE, _BUNDLE = "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_TYPE = "cosign container image signature"
# Docker's key of its hardened images, and since when it has been in use (moby/policy-helpers, roots/dhi).
HARDENED_KEY = b"""\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKdROmntRJFBrOJOQF5ww6gDBJqGm
Fxa4333s1KsL9ISjtmRzGNih9lNRsqfRVjgFgJIdL6EQ9dohdanvn7r2cg==
-----END PUBLIC KEY-----
"""
_HARDENED_SINCE = datetime(2025, 4, 2, tzinfo=UTC)


class _Image(msgspec.Struct, rename="kebab"):
    docker_manifest_digest: str = ""


class _Identity(msgspec.Struct, rename="kebab"):
    docker_reference: str = ""


class _Critical(msgspec.Struct):
    identity: _Identity = msgspec.field(default_factory=_Identity)
    image: _Image = msgspec.field(default_factory=_Image)
    type: str = ""


class Payload(msgspec.Struct):
    critical: _Critical = msgspec.field(default_factory=_Critical)

    @property
    def reference(self) -> str:
        return self.critical.identity.docker_reference


class _LogPayload(msgspec.Struct):
    body: str
    integrated_time: int = msgspec.field(name="integratedTime")
    log_index: int = msgspec.field(name="logIndex")
    log_id: str = msgspec.field(name="logID")


class _LogBundle(msgspec.Struct):
    """cosign's own form of what Rekor promised."""

    promise: str = msgspec.field(name="SignedEntryTimestamp")
    payload: _LogPayload = msgspec.field(name="Payload")


class _Content(msgspec.Struct):
    content: str = ""


class _LoggedSignature(msgspec.Struct, rename="camel"):
    content: str = ""
    public_key: _Content = msgspec.field(default_factory=_Content)


class _Hash(msgspec.Struct):
    algorithm: str = ""
    value: str = ""


class _Data(msgspec.Struct):
    hash: _Hash = msgspec.field(default_factory=_Hash)


class _Spec(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)
    signature: _LoggedSignature = msgspec.field(default_factory=_LoggedSignature)


class _Entry(msgspec.Struct, rename="camel"):
    """A hashedrekord of Rekor."""

    kind: str = ""
    api_version: str = ""
    spec: _Spec = msgspec.field(default_factory=_Spec)


def read_payload(raw: bytes, signed: Digest, what: str) -> Payload:
    """The payload, which names the manifest that is signed. Raises NotVerified."""
    try:
        found = msgspec.json.decode(raw, type=Payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotVerified(f"{what} has a malformed payload") from None
    if found.critical.type != _TYPE:
        raise NotVerified(f"{what} is of another type: {found.critical.type!r:.200}")
    if found.critical.image.docker_manifest_digest != str(signed):
        raise NotVerified(f"{what} is of {found.critical.image.docker_manifest_digest!r:.200}, not of {signed}")
    return found


def verify_by_certificate(trust: TrustRoot, layer: Descriptor, what: str) -> tuple[list[Timestamp], SignerInfo | None]:
    """When and by whom the payload was signed. layer: of the payload, with its annotations. Raises NotVerified."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificate

    pem = layer.annotations.get(_CERTIFICATE, "").encode()
    certificate: Certificate = guarded(
        partial(load_pem_x509_certificate, pem), f"{what} has no certificate", NotVerified
    )
    signature = _base64(layer.annotations.get(_SIGNATURE, ""), what)
    guarded(partial(_signed, certificate.public_key(), signature, layer.digest), f"{what} does not verify", NotVerified)
    if not layer.annotations.get(_BUNDLE):
        raise NotVerified(f"{what} is in no transparency log")
    own = certificate.public_bytes(Encoding.DER)
    time, url = _logged(trust, layer, signature, lambda text: _certificate_der(text) == own, what)
    trust.certificate(certificate, time, what)
    signer = guarded(partial(SignerInfo.of, certificate), what, NotVerified)
    return [Timestamp("Tlog", url, rfc3339(time))], signer


def verify_by_docker(trust: TrustRoot, layer: Descriptor, what: str) -> tuple[list[Timestamp], SignerInfo | None]:
    """The same for Docker's own key, which need not be in a log. Raises NotVerified."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = load_pem_public_key(HARDENED_KEY)
    signature = _base64(layer.annotations.get(_SIGNATURE, ""), what)
    guarded(partial(_signed, public, signature, layer.digest), f"{what} does not verify", NotVerified)
    if not layer.annotations.get(_BUNDLE):
        return [], None
    time, url = _logged(trust, layer, signature, lambda text: load_pem_public_key(text) == public, what)
    if time < _HARDENED_SINCE:
        raise NotVerified(f"{what} is older than its key: {rfc3339(time)}")
    return [Timestamp("Tlog", url, rfc3339(time))], None


def _signed(key: object, signature: bytes, digest: Digest) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    if not isinstance(key, EllipticCurvePublicKey):
        raise TypeError("it is by a key of another kind than ECDSA")
    key.verify(signature, bytes.fromhex(digest.hex), ECDSA(Prehashed(SHA256())))


def _logged(
    trust: TrustRoot, layer: Descriptor, signature: bytes, is_signer: Callable[[bytes], bool], what: str
) -> tuple[datetime, str]:
    """When a log took the signature in, and the log's URL. is_signer: whether a text in PEM is who signed."""
    try:
        bundle = msgspec.json.decode(layer.annotations[_BUNDLE], type=_LogBundle)
        entry = msgspec.json.decode(_base64(bundle.payload.body, what), type=_Entry)
        log_id = bytes.fromhex(bundle.payload.log_id)
        time = datetime.fromtimestamp(bundle.payload.integrated_time, UTC)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError, OSError):
        raise NotVerified(f"{what} has a malformed entry of a transparency log") from None
    if (entry.kind, entry.api_version) != ("hashedrekord", "0.0.1"):
        raise NotVerified(f"{what} is in a log as something else: {entry.kind!r:.100} {entry.api_version!r:.100}")
    hashed = entry.spec.data.hash
    logged = _base64(entry.spec.signature.content, what)
    if (hashed.algorithm, hashed.value, logged) != ("sha256", layer.digest.hex, signature):
        raise NotVerified(f"{what} is not what the transparency log has")
    maker = _base64(entry.spec.signature.public_key.content, what)
    if not guarded(partial(is_signer, maker), f"{what} is in the log by another key", NotVerified):
        raise NotVerified(f"{what} is in the log by another key")
    promised = {
        "body": bundle.payload.body,
        "integratedTime": bundle.payload.integrated_time,
        "logID": bundle.payload.log_id,
        "logIndex": bundle.payload.log_index,
    }
    canonical = json.dumps(promised, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return time, trust.log_entry(log_id, canonical, _base64(bundle.promise, what), what)


def _certificate_der(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificate

    return bytes(load_pem_x509_certificate(pem).public_bytes(Encoding.DER))


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotVerified(f"{what} is not base64") from None
