"""Attestations of files: a Sigstore bundle whose in-toto statement names the file (buildx's artifact_attestation).

github_attestation takes the same bundles from GitHub's API; what that answers is read here, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.policy.signatures.attestationsignature import BUNDLE_V03, AttestationSignature
from builder.policy.signatures.guard import guarded
from builder.policy.signatures.provenance import SLSA1, TYPES
from builder.policy.signatures.signer import SignerInfo
from builder.policy.signatures.trustroot import LIMIT, TrustRoot, read_bundle
from cache.digest import Digest

if TYPE_CHECKING:
    from sigstore.models import Bundle

IN_TOTO = "application/vnd.in-toto+json"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w-]*/(?!\.{1,2}\Z)[\w.-]+\Z", re.ASCII)
_STATEMENT = "https://in-toto.io/Statement/"


class Answer(msgspec.Struct, frozen=True):
    """What GitHub has of a file. bundles: in JSON. urls: where others are, signed for a short time."""

    bundles: tuple[bytes, ...]
    urls: tuple[str, ...]


def artifact_attestation(trust: TrustRoot, digest: Digest, bundle: bytes) -> AttestationSignature:
    """Who attested how a file was built. digest: of the file. bundle: JSON. Raises SignatureFault, NotVerified.

    The statement must be a SLSA provenance and name the digest.
    """
    what = f"the attestation of {digest}"
    read = read_bundle(bundle)
    statement = verified_statement(trust, digest, read, what)
    if statement.predicate_type not in TYPES:
        raise NotVerified(f"{what} is no SLSA provenance: its predicate type is {statement.predicate_type!r:.200}")
    signer = guarded(partial(SignerInfo.of, read.signing_certificate), what, NotVerified)
    return AttestationSignature(type=BUNDLE_V03, timestamps=trust.timestamps(read, what), signer=signer)


class Subject(msgspec.Struct):
    digest: dict[str, str] | None = None


class Statement(msgspec.Struct, rename="camel"):
    """An in-toto statement (in-toto/attestation, spec/v1/statement.md)."""

    type: str = msgspec.field(default="", name="_type")
    subject: list[Subject] | None = None
    predicate_type: str = ""


def verified_statement(trust: TrustRoot, digest: Digest, bundle: Bundle, what: str) -> Statement:
    """The statement that the bundle's envelope signs, which names the digest. Raises NotVerified."""
    kind, payload = trust.dsse(bundle, what)
    if kind != IN_TOTO:
        raise NotVerified(f"{what} signs something of another type: {kind!r:.200}")
    try:
        statement = msgspec.json.decode(payload, type=Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotVerified(f"{what} signs no in-toto statement") from None
    named = [(subject.digest or {}).get(digest.algorithm) for subject in statement.subject or []]
    if not statement.type.startswith(_STATEMENT) or digest.hex not in named:
        raise NotVerified(f"{what} is of something else: its statement does not name {digest}")
    return statement


def github_url(repository: str, digest: Digest) -> str:
    """Where GitHub tells of a file's attestations. repository: OWNER/NAME. Accept: application/vnd.github+json."""
    if not _REPOSITORY.match(repository):
        raise SignatureFault(f"invalid GitHub repository {repository!r:.200}", "want OWNER/NAME")
    return f"https://api.github.com/repos/{repository}/attestations/{digest}?predicate_type={quote(SLSA1, safe='')}"


def github_answer(raw: bytes) -> Answer:
    """Read the API's answer; what cannot be read has none."""
    try:
        found = msgspec.json.decode(raw, type=_Attestations)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer((), ())
    attestations = found.attestations or []
    inline = [bytes(one.bundle).strip() for one in attestations]
    return Answer(
        tuple(bundle for bundle in inline if bundle not in (b"", b"null")),
        tuple(one.bundle_url for one in attestations if one.bundle_url),
    )


def github_bundle(url: str, raw: bytes) -> bytes:
    """A bundle as it came from one of those URLs: in JSON, which Snappy compressed if the path says so."""
    if not urlsplit(url).path.endswith(".json.sn"):
        return raw.strip()
    return guarded(partial(_unpacked, raw), "the bundle of a GitHub attestation cannot be unpacked")


def first_attestation(
    trust: TrustRoot, digest: Digest, bundles: tuple[bytes, ...], told: Callable[[str], None]
) -> AttestationSignature | None:
    """The first bundle that verifies, None where none does. told: why one does not. Raises MissingLibrary."""
    for bundle in bundles:
        try:
            return artifact_attestation(trust, digest, bundle)
        except MissingLibrary:
            raise
        except SignatureFault as error:
            told(error.message)
    return None


class _Attestation(msgspec.Struct):
    bundle: msgspec.Raw = msgspec.Raw()
    bundle_url: str | None = None


class _Attestations(msgspec.Struct):
    attestations: list[_Attestation] | None = None


def _unpacked(raw: bytes) -> bytes:
    from cramjam import snappy

    if snappy.decompress_raw_len(raw) > LIMIT:
        raise SignatureFault(f"the bundle of a GitHub attestation is too large: more than {LIMIT} bytes")
    return bytes(snappy.decompress_raw(raw))
