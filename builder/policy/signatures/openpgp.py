"""Detached OpenPGP signatures (RFC 4880, RFC 9580), verified by Sequoia (the optional package pysequoia).

One rule for git objects and downloads. Accepted is a signature of a document, with SHA-256, -384 or -512, by a key that
may sign, and that was bound (not by SHA-1), alive and not revoked when the signature was made. Refused are a
certificate that is revoked now, a signature that has expired, one from the future, and DSA or short RSA keys. A key
that expired after it signed is accepted. BuildKit's pgpsign has these rules for git, but for the expiry of signatures
and the hash of bindings; for downloads it looks at no expiry, flag or revocation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.policy.signatures.guard import guarded

if TYPE_CHECKING:
    from pysequoia import Cert, Sig

BEGIN = b"-----BEGIN PGP SIGNATURE-----"
LIMIT = 512 << 10  # bytes of a file of keys, or of a signature
_SIGNATURES = 64  # in one file
_AHEAD = 300.0  # seconds that the signer's clock may be ahead


def signatures(data: bytes) -> list[Sig]:
    """The signatures of a file, armored or binary: at least one. Raises SignatureFault, MissingLibrary."""
    _require()
    _bounded(data, "an OpenPGP signature")
    found = guarded(partial(_signatures, data), "the OpenPGP signature cannot be read")
    if not found:
        raise SignatureFault("no OpenPGP signature: the file holds none")
    return found


def described(data: bytes) -> tuple[int, str]:
    """The version of the first signature, and its issuer's key ID: 16 hexadecimal digits, "" where it does not say."""
    first = signatures(data)[0]
    return guarded(lambda: (first.version, first.issuer_key_id or ""), "the OpenPGP signature cannot be read")


def certificates(data: bytes) -> list[Cert]:
    """The public keys of a file, armored or binary: at least one. Raises SignatureFault, MissingLibrary."""
    _require()
    from pysequoia import Cert

    _bounded(data, "a file of OpenPGP keys")
    found: list[Cert] = guarded(lambda: Cert.split_bytes(data), "the OpenPGP keys cannot be read")
    if not found:
        raise SignatureFault("no OpenPGP key: the file holds none")
    return found


def verify_text(signature: bytes, signed: bytes, keys: bytes, what: str, now: Callable[[], float] = time.time) -> None:
    """That one of the keys signed these bytes, in a signature over bytes or over text. what: for the error."""
    _verify(signature, keys, what, {"bytes": signed}, now, text=True)


def verify_file(signature: bytes, file: int, keys: bytes, what: str, now: Callable[[], float] = time.time) -> None:
    """That one of the keys signed the file. file: a descriptor; the file is mapped, not read into memory.

    A signature over text is refused: it does not say which line ends, so which bytes, the file has.
    """
    _verify(signature, keys, what, {"file": f"/proc/self/fd/{file}"}, now, text=False)


def verify_http_pgp_signature(path: str, signature: bytes, keys: bytes) -> None:
    """What buildx's function of this name asks of a download: see verify_file. path: of its content."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        verify_file(signature, file, keys, "the signature of the download")
    finally:
        os.close(file)


def _signatures(data: bytes) -> list[Sig]:
    from pysequoia import Sig
    from pysequoia.packet import PacketPile, Tag

    packets = list(PacketPile.from_bytes(data))
    if len(packets) > _SIGNATURES or any(packet.tag != Tag.Signature for packet in packets):
        raise SignatureFault("the OpenPGP signature is not detached, or is one of too many")
    return [Sig.from_bytes(bytes(packet)) for packet in packets]


def _verify(
    signature: bytes, keys: bytes, what: str, data: dict[str, Any], now: Callable[[], float], *, text: bool
) -> None:
    from pysequoia import verify

    found, known = signatures(signature), certificates(keys)
    refused = NotVerified(
        f"{what} was not made by one of the keys",
        "a key that had expired, or that is bound by SHA-1, does not count",
    )
    for one in found:
        try:
            reason = guarded(partial(_weakness, one, now(), text=text), what)
            if reason:
                refused = NotVerified(f"{what} is refused: {reason}")
                continue
            checked = guarded(partial(verify, store=partial(_always, known), signature=one, **data), what)
        except SignatureFault:
            continue
        signers = {str(made.certificate) for made in checked.valid_sigs}
        makers = [key for key in known if key.fingerprint in signers]
        if any(guarded(partial(getattr, key, "is_revoked"), what) for key in makers):
            refused = NotVerified(f"{what} is refused: its key {makers[0].fingerprint} is revoked")
        elif makers:
            return
    raise refused


def _always(known: list[Cert], wanted: list[str]) -> list[Cert]:
    """Keys for the library to choose from."""
    return known


def _weakness(signature: Sig, now: float, *, text: bool) -> str:
    """Why a signature is refused whoever made it, "" where it is not."""
    from pysequoia.packet import HashAlgorithm, PublicKeyAlgorithm, SignatureType

    kinds = [SignatureType.Binary, SignatureType.Text] if text else [SignatureType.Binary]
    if signature.signature_type not in kinds:
        return f"it is one of kind {signature.signature_type}"
    if signature.hash_algorithm not in [HashAlgorithm.SHA256, HashAlgorithm.SHA384, HashAlgorithm.SHA512]:
        return f"it is by the hash {signature.hash_algorithm}"
    sound = [PublicKeyAlgorithm.RSAEncryptSign, PublicKeyAlgorithm.RSASign, PublicKeyAlgorithm.ECDSA]
    sound += [PublicKeyAlgorithm.EdDSA, PublicKeyAlgorithm.Ed25519, PublicKeyAlgorithm.Ed448]
    if signature.key_algorithm not in sound:
        return f"it is by {signature.key_algorithm}"
    if signature.created is None or signature.created.timestamp() > now + _AHEAD:
        return "it says no time, or one in the future"
    return ""


def _bounded(data: bytes, what: str) -> None:
    if len(data) > LIMIT:
        raise SignatureFault(f"{what} of {len(data)} bytes is too large: more than {LIMIT}")


def _require() -> None:
    if find_spec("pysequoia") is None:
        raise MissingLibrary(
            "OpenPGP signatures need pysequoia, which is not installed", "pip install 'lapstrake[policy]'"
        )
