"""SignerInfo: whom a certificate of Sigstore's authority (Fulcio) was given to.

The extensions are those of Fulcio's docs/oid-info.md; the names are sigstore-go's, which buildx shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from builder.errors import NotVerified

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_ARC = "1.3.6.1.4.1.57264.1."
_OTHER_NAME, _OLD_ISSUER = _ARC + "7", _ARC + "1"
_STRINGS = (0x0C, 0x13, 0x16)  # DER: UTF8String, PrintableString, IA5String


class SignerInfo(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """issuer: of the token that proved who it is. The rest is what a CI system says of the run, as far as it does."""

    certificate_issuer: str = msgspec.field(name="certificateIssuer")
    subject_alternative_name: str = msgspec.field(name="subjectAlternativeName")
    issuer: str = ""
    build_signer_uri: str = msgspec.field(default="", name="buildSignerURI")
    build_signer_digest: str = msgspec.field(default="", name="buildSignerDigest")
    runner_environment: str = msgspec.field(default="", name="runnerEnvironment")
    source_repository_uri: str = msgspec.field(default="", name="sourceRepositoryURI")
    source_repository_digest: str = msgspec.field(default="", name="sourceRepositoryDigest")
    source_repository_ref: str = msgspec.field(default="", name="sourceRepositoryRef")
    source_repository_identifier: str = msgspec.field(default="", name="sourceRepositoryIdentifier")
    source_repository_owner_uri: str = msgspec.field(default="", name="sourceRepositoryOwnerURI")
    source_repository_owner_identifier: str = msgspec.field(default="", name="sourceRepositoryOwnerIdentifier")
    build_config_uri: str = msgspec.field(default="", name="buildConfigURI")
    build_config_digest: str = msgspec.field(default="", name="buildConfigDigest")
    build_trigger: str = msgspec.field(default="", name="buildTrigger")
    run_invocation_uri: str = msgspec.field(default="", name="runInvocationURI")
    source_repository_visibility: str = msgspec.field(default="", name="sourceRepositoryVisibilityAtSigning")

    @classmethod
    def of(cls, certificate: Certificate) -> SignerInfo:
        """Read a certificate that was verified. Raises NotVerified where it names nobody."""
        found: dict[str, str] = {}
        for extension in certificate.extensions:
            name = extension.oid.dotted_string
            raw = getattr(extension.value, "value", b"")
            if name == _OLD_ISSUER:
                found["issuer"] = raw.decode("utf-8", "replace")
            elif name in _FIELDS:
                found[_FIELDS[name]] = _der_string(raw)
        return cls(
            certificate_issuer=certificate.issuer.rfc4514_string(),
            subject_alternative_name=_subject(certificate),
            **found,
        )


# Numbers 8 to 22 of the arc, in the order of the fields.
_FIELDS = {f"{_ARC}{number}": name for number, name in enumerate(SignerInfo.__struct_fields__[2:], 8)}


def _subject(certificate: Certificate) -> str:
    from cryptography.x509 import OtherName, RFC822Name, SubjectAlternativeName, UniformResourceIdentifier

    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    plain = names.get_values_for_type(UniformResourceIdentifier) + names.get_values_for_type(RFC822Name)
    others = [one.value for one in names.get_values_for_type(OtherName) if one.type_id.dotted_string == _OTHER_NAME]
    found = plain[0] if plain else _der_string(others[0]) if others else ""
    if not found:
        raise NotVerified("the certificate of the signature names nobody")
    return found


def _der_string(raw: bytes) -> str:
    """A string of DER (X.690 section 8), alone."""
    if len(raw) >= 2 and raw[0] in _STRINGS:
        long = max(raw[1] - 0x80, 0)  # bytes of the length, where it does not fit in seven bits
        size = int.from_bytes(raw[2 : 2 + long], "big") if long else raw[1]
        value = raw[2 + long :]
        if len(value) == size and (size > 0x7F) == (long > 0):
            return value.decode("utf-8", "replace")
    raise NotVerified("the certificate of the signature has a malformed extension")
