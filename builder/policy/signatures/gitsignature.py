"""Signatures of git objects: what they say of themselves, and whether a key made them (BuildKit's gitsign)."""

from __future__ import annotations

import msgspec

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.policy.signatures import openpgp, sshsig
from builder.policy.signatures.gitobject import GitObject


class PGPSignature(msgspec.Struct, frozen=True, omit_defaults=True):
    """version: of the packet. key_id: the issuer's, 16 hexadecimal digits, "" where it is not said."""

    version: int = 0
    key_id: str = msgspec.field(default="", name="keyID")


class SSHSignature(msgspec.Struct, frozen=True, omit_defaults=True):
    """pub_key: the key's fingerprint, SHA256:<base64>."""

    version: int = 0
    pub_key: str = msgspec.field(default="", name="pubKey")


def described(signature: bytes) -> tuple[PGPSignature | None, SSHSignature | None]:
    """What an armored signature says. What cannot be read is no signature, as in buildx."""
    try:
        if signature.startswith(openpgp.BEGIN):
            return PGPSignature(*openpgp.described(signature)), None
        if signature.startswith(sshsig.BEGIN):
            read = sshsig.SSHSignatureBlob.parse(signature)
            return None, SSHSignature(read.version, read.fingerprint)
    except MissingLibrary:
        raise
    except SignatureFault:
        pass
    return None, None


def verify_git_signature(git: GitObject, key: bytes) -> None:
    """That one of these OpenPGP keys, or this SSH key, signed the object. Raises SignatureFault, NotVerified.

    key: OpenPGP keys, armored or binary, for an OpenPGP signature; a line of authorized_keys for one of SSH.
    """
    what = f"the signature of {git.kind} {git.first('tag') or git.first('tree')}"
    if not git.signature:
        raise NotVerified(f"this git {git.kind} is not signed")
    if git.signature.startswith(openpgp.BEGIN):
        openpgp.verify_text(git.signature, git.signed, key, what)
    elif git.signature.startswith(sshsig.BEGIN):
        sshsig.verify(git.signature, git.signed, key, "git", what)
    else:
        raise SignatureFault(f"{what} is neither of OpenPGP nor of SSH")
