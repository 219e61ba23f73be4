"""A Sigstore of the tests' own: an authority, a certificate log, a transparency log, a clock, and their trust root."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNED = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
GITHUB = {
    8: "https://token.actions.githubusercontent.com",
    9: "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1",
    11: "github-hosted",
    12: "https://github.com/o/r",
    14: "refs/tags/v1",
}
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_TSA = """\
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
default_policy = 1.2.3.4
digests = sha256
signer_digest = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def named(organization: str, name: str) -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, name)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


class Leaf:
    """A certificate for a moment, and its key."""

    def __init__(self, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
        self.certificate, self.key = certificate, key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ECDSA(SHA256()))


class Sigstore:
    """at: when all is signed."""

    def __init__(
        self, issuer: str = "sigstore-intermediate", organization: str = "sigstore.dev", at: datetime = SIGNED
    ) -> None:
        self.at = at
        self.root_key, self.key, self.ct_key, self.log_key = (generate_private_key(SECP256R1()) for _ in range(4))
        top, middle = named(organization, "sigstore"), named(organization, issuer)
        self.root = self._authority(top, self.root_key, top, self.root_key, 1)
        self.intermediate = self._authority(middle, self.key, top, self.root_key, 0)
        self.log_url = "https://rekor.test"
        self.log_id = hashlib.sha256(der(self.log_key)).digest()

    def trusted_root(self, *clocks: bytes) -> dict[str, Any]:
        """clocks: certificates in DER of a clock's chain, the clock's own first."""
        since = {"start": "2000-01-01T00:00:00Z"}

        def log(key: EllipticCurvePrivateKey, url: str) -> dict[str, Any]:
            public = {"rawBytes": b64(der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since}
            id = {"keyId": b64(hashlib.sha256(der(key)).digest())}
            return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": id}

        def authority(url: str, *chain: bytes) -> dict[str, Any]:
            subject = {"organization": "sigstore.dev", "commonName": "sigstore"}
            certificates = {"certificates": [{"rawBytes": b64(one)} for one in chain]}
            return {"subject": subject, "uri": url, "certChain": certificates, "validFor": since}

        chain = [one.public_bytes(Encoding.DER) for one in (self.intermediate, self.root)]
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.log_key, self.log_url)],
            "certificateAuthorities": [authority("https://fulcio.test", *chain)],
            "ctlogs": [log(self.ct_key, "https://ct.test")],
            "timestampAuthorities": [authority("https://clock.test", *clocks)] if clocks else [],
        }

    def leaf(
        self,
        subject: str = GITHUB[9],
        extensions: dict[int, str] | None = None,
        *,
        email: bool = False,
        sct: bool = True,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    ) -> Leaf:
        """A certificate of ten minutes around its time, logged unless told otherwise."""
        key = generate_private_key(SECP256R1())
        name: x509.GeneralName = x509.RFC822Name(subject) if email else x509.UniformResourceIdentifier(subject)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.at - timedelta(minutes=5))
            .not_valid_after(self.at + timedelta(minutes=5))
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        )
        for number, value in (GITHUB if extensions is None else extensions).items():
            oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
            text = value.encode()
            head = bytes([0x0C, len(text)]) if len(text) < 128 else bytes([0x0C, 0x81, len(text)])
            whole = text if number < 7 else head + text
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, whole), critical=False)
        if sct:
            bare = builder.sign(self.key, SHA256())
            builder = builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST, self._sct(bare)), critical=False)
        return Leaf(builder.sign(self.key, SHA256()), key)

    def bundle(
        self, leaf: Leaf, statement: dict[str, Any], kind: str = "application/vnd.in-toto+json"
    ) -> dict[str, Any]:
        """A bundle whose envelope signs the statement, with its entry of the log (dsse 0.0.1)."""
        payload = json.dumps(statement).encode()
        signature = leaf.sign(b"DSSEv1 %d %s %d " % (len(kind), kind.encode(), len(payload)) + payload)
        envelope = {"payload": b64(payload), "payloadType": kind, "signatures": [{"sig": b64(signature)}]}
        hashed = {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}
        whole = {"algorithm": "sha256", "value": hashlib.sha256(json.dumps(envelope).encode()).hexdigest()}
        spec = {
            "envelopeHash": whole,
            "payloadHash": hashed,
            "signatures": [{"signature": b64(signature), "verifier": b64(leaf.pem)}],
        }
        return {**self._material(leaf, "dsse", spec), "dsseEnvelope": envelope}

    def message_bundle(self, leaf: Leaf, message: bytes) -> dict[str, Any]:
        """A bundle that signs bytes."""
        signature, digest = leaf.sign(message), hashlib.sha256(message)
        content = {
            "messageDigest": {"algorithm": "SHA2_256", "digest": b64(digest.digest())},
            "signature": b64(signature),
        }
        spec = self.record(digest.hexdigest(), signature, leaf.pem)
        return {**self._material(leaf, "hashedrekord", spec), "messageSignature": content}

    def record(self, digest: str, signature: bytes, pem: bytes) -> dict[str, Any]:
        """What a hashedrekord says. digest: hexadecimal."""
        return {
            "data": {"hash": {"algorithm": "sha256", "value": digest}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(pem)}},
        }

    def promise(self, kind: str, spec: dict[str, Any], at: datetime | None = None) -> tuple[bytes, bytes]:
        """The body of an entry, and the log's promise to take it in."""
        at = at or self.at
        body = json.dumps({"apiVersion": "0.0.1", "kind": kind, "spec": spec}, sort_keys=True, separators=(",", ":"))
        said = {
            "body": b64(body.encode()),
            "integratedTime": int(at.timestamp()),
            "logID": self.log_id.hex(),
            "logIndex": 7,
        }
        signed = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        return body.encode(), self.log_key.sign(signed, ECDSA(SHA256()))

    def cosign_bundle(self, spec: dict[str, Any], at: datetime | None = None) -> dict[str, Any]:
        """What cosign puts into an annotation."""
        at = at or self.at
        body, promise = self.promise("hashedrekord", spec, at)
        payload = {
            "body": b64(body),
            "integratedTime": int(at.timestamp()),
            "logIndex": 7,
            "logID": self.log_id.hex(),
        }
        return {"SignedEntryTimestamp": b64(promise), "Payload": payload}

    def _material(self, leaf: Leaf, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        body, promise = self.promise(kind, spec)
        top = hashlib.sha256(b"\0" + body).digest()
        note = f"rekor.test - 1\n1\n{b64(top)}\n"
        signed = self.log_id[:4] + self.log_key.sign(note.encode(), ECDSA(SHA256()))
        checkpoint = f"{note}\n\u2014 rekor.test {b64(signed)}\n"
        entry = {
            "logIndex": "7",
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": str(int(self.at.timestamp())),
            "inclusionPromise": {"signedEntryTimestamp": b64(promise)},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(top),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": b64(body),
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": b64(leaf.der)}, "tlogEntries": [entry]},
        }

    def _sct(self, bare: x509.Certificate) -> bytes:
        """The list of one timestamp of the certificate log (RFC 6962 section 3.2), in DER."""
        tbs, moment = bare.tbs_certificate_bytes, int(self.at.timestamp() * 1000)
        issuer = hashlib.sha256(der(self.key)).digest()
        signed = struct.pack("!BBQH", 0, 0, moment, 1) + issuer + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = self.ct_key.sign(signed, ECDSA(SHA256()))
        log = hashlib.sha256(der(self.ct_key)).digest()
        one = b"\0" + log + struct.pack("!QH", moment, 0) + b"\4\3" + len(signature).to_bytes(2, "big") + signature
        whole = len(one).to_bytes(2, "big") + one
        list_ = len(whole).to_bytes(2, "big") + whole
        return b"\4\x81" + bytes([len(list_)]) + list_ if len(list_) > 127 else b"\4" + bytes([len(list_)]) + list_

    def _authority(
        self,
        name: x509.Name,
        key: EllipticCurvePrivateKey,
        issuer: x509.Name,
        signer: EllipticCurvePrivateKey,
        below: int,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.at - 1000 * HOUR)
            .not_valid_after(self.at + 1000 * HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if key is not signer:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
            builder = builder.add_extension(identifier, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        return builder.sign(signer, SHA256())


class Clock:
    """openssl's timestamping authority (RFC 3161), which tells this machine's time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_TSA.format(folder=folder))
        top, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        name, own = named("clock.test", "root"), named("clock.test", "clock")
        self._root = self._made(name, top, name, top, x509.BasicConstraints(ca=True, path_length=None))
        self._certificate = self._made(own, key, name, top, x509.BasicConstraints(ca=False, path_length=None))
        (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "own.pem").write_bytes(self._certificate.public_bytes(Encoding.PEM))

    @property
    def chain(self) -> tuple[bytes, bytes]:
        return self._certificate.public_bytes(Encoding.DER), self._root.public_bytes(Encoding.DER)

    def sign(self, data: bytes) -> bytes:
        """A response over data, in DER."""
        (self._folder / "data").write_bytes(data)
        self._openssl("-query", "-data", "data", "-sha256", "-cert", "-out", "query")
        words = (
            "-config",
            "tsa.cnf",
            "-queryfile",
            "query",
            "-inkey",
            "key.pem",
            "-signer",
            "own.pem",
            "-out",
            "reply",
        )
        self._openssl("-reply", *words)
        return (self._folder / "reply").read_bytes()

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", "ts", *words], cwd=self._folder, check=True, capture_output=True)

    def _made(
        self,
        name: x509.Name,
        key: EllipticCurvePrivateKey,
        issuer: x509.Name,
        signer: EllipticCurvePrivateKey,
        limits: x509.BasicConstraints,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(SIGNED, now) - 1000 * HOUR)
            .not_valid_after(max(SIGNED, now) + 1000 * HOUR)
            .add_extension(limits, critical=True)
        )
        if not limits.ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        return builder.sign(signer, SHA256())
