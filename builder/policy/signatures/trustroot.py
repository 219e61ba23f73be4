"""TrustRoot: whose certificates, logs and clocks are believed, and what the optional package sigstore verifies by them.

The root that comes with the package is the public instance's, as it was when the package was made. Nothing is asked for
over the network: a newer root comes with a newer package, or as a file.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.policy.signatures.attestationsignature import Timestamp
from builder.policy.signatures.guard import guarded

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle, TrustedRoot
    from sigstore.verify import Verifier
    from sigstore_models.common.v1 import TimeRange

LIMIT = 8 << 20  # bytes of a bundle
_EMBEDDED = ("https%3A%2F%2Ftuf-repo-cdn.sigstore.dev", "trusted_root.json")


class TrustRoot:
    """For one thread at a time. What it verifies, it does with sigstore's own code, part of which is not public."""

    def __init__(self, path: str = "") -> None:
        """path: of a trusted_root.json (protobuf-specs, sigstore_trustroot.proto), "" for the one of the package.

        Raises MissingLibrary, and SignatureFault where the file is none.
        """
        if find_spec("sigstore") is None:
            raise MissingLibrary(
                "signatures of Sigstore need sigstore, which is not installed", "pip install 'lapstrake[sigstore]'"
            )
        logging.getLogger("sigstore").addHandler(logging.NullHandler())  # else its warnings go to the screen
        what = f"the trust root {path or 'of the package sigstore'} cannot be read"
        self.root: TrustedRoot = guarded(partial(_trusted, path), what)
        self.verifier: Verifier = guarded(partial(_verifier, self.root), what)

    def dsse(self, bundle: Bundle, what: str) -> tuple[str, bytes]:
        """Type and bytes of what the bundle's envelope signs. Raises NotVerified."""
        signed: tuple[str, bytes] = guarded(lambda: self.verifier.verify_dsse(bundle, _Anyone()), what, NotVerified)
        return signed

    def message(self, digest: bytes, bundle: Bundle, what: str) -> None:
        """That the bundle signs bytes of this sha256. Raises NotVerified."""
        guarded(partial(self._message, digest, bundle), what, NotVerified)

    def timestamps(self, bundle: Bundle, what: str) -> list[Timestamp]:
        """Of a bundle that was verified: by the log that has it, then by clocks that signed it."""
        return guarded(partial(self._timestamps, bundle), what, NotVerified)

    def log_entry(self, log_id: bytes, signed: bytes, signature: bytes, what: str) -> str:
        """That a transparency log promised an entry; gives the log's URL. Raises NotVerified."""
        url = self._log_url(log_id)
        if url is None:
            raise NotVerified(f"{what}: its transparency log is not one of the trust root")
        guarded(partial(self._promised, log_id, signed, signature), what, NotVerified)
        return url

    def certificate(self, certificate: Certificate, moment: datetime, what: str) -> None:
        """That the authority gave a certificate for signing code, that it was logged, and valid then. NotVerified."""
        guarded(partial(self._certificate, certificate, moment), what, NotVerified)

    def _message(self, digest: bytes, bundle: Bundle) -> None:
        from sigstore.hashes import Hashed
        from sigstore_models.common.v1 import HashAlgorithm

        self.verifier.verify_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest), bundle, _Anyone())

    def _timestamps(self, bundle: Bundle) -> list[Timestamp]:
        from sigstore._internal.timestamp import TimestampSource

        found, times = [], self.verifier._establish_time(bundle)
        for one in times:
            if one.source == TimestampSource.TRANSPARENCY_SERVICE:
                log_id = bundle.log_entry._inner.log_id.key_id
                found.append(Timestamp("Tlog", self._log_url(log_id) or "", rfc3339(one.time)))
        for one in times:
            if one.source == TimestampSource.TIMESTAMP_AUTHORITY:
                found.append(Timestamp("TimestampAuthority", self._clock_url(one.time), rfc3339(one.time)))
        return found

    def _promised(self, log_id: bytes, signed: bytes, signature: bytes) -> None:
        from sigstore._internal.trust import KeyringPurpose
        from sigstore._utils import KeyID

        keys = self.root.rekor_keyring(KeyringPurpose.VERIFY)
        keys.verify(key_id=KeyID(log_id), signature=signature, data=signed)

    def _certificate(self, certificate: Certificate, moment: datetime) -> None:
        from cryptography.x509 import ExtendedKeyUsage, KeyUsage
        from cryptography.x509.oid import ExtendedKeyUsageOID
        from sigstore._internal.sct import verify_sct
        from sigstore._internal.timestamp import TimestampSource, TimestampVerificationResult
        from sigstore._internal.trust import KeyringPurpose

        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise NotVerified("the certificate was not valid when it signed")
        at = TimestampVerificationResult(source=TimestampSource.TRANSPARENCY_SERVICE, time=moment)
        chain = self.verifier._verify_chain_at_time(certificate, at)
        verify_sct(certificate, chain, self.root.ct_keyring(KeyringPurpose.VERIFY))
        usage = certificate.extensions.get_extension_for_class(KeyUsage).value
        purposes = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value
        if not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
            raise NotVerified("the certificate is not for signing code")

    def _log_url(self, log_id: bytes) -> str | None:
        for log in self.root._inner.tlogs:
            if log.log_id.key_id == log_id:
                return str(log.base_url)
        return None

    def _clock_url(self, moment: datetime) -> str:
        """The clock of that time, "" where the trust root has several: which one it was, sigstore does not say."""
        clocks = [one for one in self.root._inner.timestamp_authorities if _within(moment, one.valid_for)]
        return str(clocks[0].uri) if len(clocks) == 1 else ""


class _Anyone:
    """sigstore's policy of who may sign. That is the Rego policy's to say."""

    def verify(self, cert: Certificate) -> None:
        """Whoever it is."""


def read_bundle(raw: bytes) -> Bundle:
    """A bundle in JSON (protobuf-specs, sigstore_bundle.proto). Raises SignatureFault."""
    if len(raw) > LIMIT:
        raise SignatureFault(f"a bundle of {len(raw)} bytes is too large: more than {LIMIT}")
    return guarded(partial(_bundle, raw), "the Sigstore bundle cannot be read")


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _within(moment: datetime, span: TimeRange) -> bool:
    return bool(span.start <= moment and (span.end is None or moment < span.end))


def _bundle(raw: bytes) -> Bundle:
    from sigstore.models import Bundle

    return Bundle.from_json(raw)


def _trusted(path: str) -> TrustedRoot:
    from sigstore.models import TrustedRoot

    return TrustedRoot.from_file(path or str(files("sigstore._store").joinpath(*_EMBEDDED)))


def _verifier(root: TrustedRoot) -> Verifier:
    from sigstore.verify import Verifier

    return Verifier(trusted_root=root)
