from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import NotVerified
from builder.policy.signatures.signer import SignerInfo, _der_string
from tests.sigstorepeer import named

ARC = "1.3.6.1.4.1.57264.1."
NAMES = {
    8: "issuer", 9: "buildSignerURI", 10: "buildSignerDigest", 11: "runnerEnvironment", 12: "sourceRepositoryURI",
    13: "sourceRepositoryDigest", 14: "sourceRepositoryRef", 15: "sourceRepositoryIdentifier",
    16: "sourceRepositoryOwnerURI", 17: "sourceRepositoryOwnerIdentifier", 18: "buildConfigURI",
    19: "buildConfigDigest", 20: "buildTrigger", 21: "runInvocationURI", 22: "sourceRepositoryVisibilityAtSigning",
}  # fmt: skip
KEY = generate_private_key(SECP256R1())
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def certificate(*names: x509.GeneralName, **extensions: bytes) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(named("a, b", "c+d"))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
    )
    for number, value in extensions.items():
        oid = x509.ObjectIdentifier(ARC + number.removeprefix("n"))
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(KEY, SHA256())


def utf8(text: str) -> bytes:
    raw = text.encode()
    if len(raw) < 128:
        return bytes([0x0C, len(raw)]) + raw
    if len(raw) < 256:
        return bytes([0x0C, 0x81, len(raw)]) + raw
    return bytes([0x0C, 0x82]) + len(raw).to_bytes(2, "big") + raw


URI = x509.UniformResourceIdentifier("https://x.test/who")


def test_every_extension_has_its_name() -> None:
    made = certificate(URI, **{f"n{number}": utf8(f"value {number}") for number in NAMES})
    assert msgspec.to_builtins(SignerInfo.of(made)) == {
        "certificateIssuer": r"CN=c\+d,O=a\, b",
        "subjectAlternativeName": "https://x.test/who",
        **{name: f"value {number}" for number, name in NAMES.items()},
    }


def test_who_it_is() -> None:
    user = x509.OtherName(x509.ObjectIdentifier(ARC + "7"), utf8("ann!x.test"))
    for names, found in (
        ((x509.RFC822Name("a@x.test"), URI), "https://x.test/who"),
        ((user, x509.RFC822Name("a@x.test")), "a@x.test"),
        ((x509.DNSName("x.test"), user), "ann!x.test"),
    ):
        assert SignerInfo.of(certificate(*names)).subject_alternative_name == found
    for names in ((x509.DNSName("x.test"),), (x509.OtherName(x509.ObjectIdentifier("1.2.3"), utf8("x")),)):
        with pytest.raises(NotVerified, match="names nobody"):
            SignerInfo.of(certificate(*names))


def test_the_older_form_of_an_issuer() -> None:
    assert SignerInfo.of(certificate(URI, n1=b"https://old.test")).issuer == "https://old.test"
    assert (
        SignerInfo.of(certificate(URI, n1=b"https://old.test", n8=utf8("https://new.test"))).issuer
        == "https://new.test"
    )
    for size in (0, 127, 128, 255, 256, 5000):
        assert SignerInfo.of(certificate(URI, n8=utf8("x" * size))).issuer == "x" * size


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x0c",
        b"x",
        b"\x0c\x05abc",
        b"\x0c\x01ab",
        b"\x30\x01a",
        b"\x0c\x82\x00",
        b"\x0c\xff",
        b"\x0c\x80" + b"a" * 128,
        b"\x0c\x81\x01a",
    ],
)
def test_an_extension_that_is_malformed(raw: bytes) -> None:
    with pytest.raises(NotVerified, match="has a malformed extension"):
        SignerInfo.of(certificate(URI, n9=raw))


@given(st.binary(max_size=40))
def test_any_bytes(raw: bytes) -> None:
    try:
        _der_string(raw)
    except NotVerified:
        pass
