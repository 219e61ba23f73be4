"""Authority: the certificate authority of one build, which the steps of that build trust and nobody else (RFC 5280).

Keys are made for the build and live in memory only. One key serves all hosts: whoever could take it could take any.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SUBJECT = "lapstrake build proxy"
SUBJECT_HASH = "d35d280d"
"""What openssl(1) names a file of the authority by in a folder of certificates (`openssl x509 -subject_hash`)."""

_BEFORE, _AFTER = timedelta(days=1), timedelta(days=7)  # clocks in steps may be wrong; no build lasts that long
_CONTEXTS = 1024  # hosts whose certificates are kept


class Authority:
    """Safe for many threads. pem: the certificate, as text with one line's end at its end."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
        self._certificate = self._signed(self._name, self._key.public_key(), None)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._lock = threading.Lock()

    def context(self, host: str) -> ssl.SSLContext:
        """For a TLS server that is taken for a host: its name in lower case, or its address without brackets."""
        with self._lock:
            found = self._contexts.get(host)
            if found is None:
                found = self._contexts[host] = self._made(host)
                if len(self._contexts) > _CONTEXTS:
                    self._contexts.popitem(last=False)
            self._contexts.move_to_end(host)
            return found

    def _made(self, host: str) -> ssl.SSLContext:
        leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host behind the " + SUBJECT)])
        certificate = self._signed(leaf, self._leaf_key.public_key(), _general_name(host))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        key = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        memory = os.memfd_create("certificate", os.MFD_CLOEXEC)  # the library reads files only
        try:
            with open(memory, "wb", closefd=False) as file:
                file.write(key + certificate.public_bytes(serialization.Encoding.PEM))
            context.load_cert_chain(f"/proc/self/fd/{memory}")
        finally:
            os.close(memory)
        return context

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, host: x509.GeneralName | None
    ) -> x509.Certificate:
        """host: None for the authority itself."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _AFTER)
            .add_extension(
                x509.BasicConstraints(ca=host is None, path_length=0 if host is None else None), critical=True
            )
            .add_extension(_usage(authority=host is None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([host]), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
