"""Trust: the TLS context that a Tls describes: the system's certificates, those of files, our own (ssl)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import Untrusted
from builder.transport.settings import Tls


def words(error: BaseException) -> str:
    """One line of what a library said; never a URL, which it may have put in."""
    text = " ".join(str(error).split()) or type(error).__name__
    return type(error).__name__ if "://" in text else "".join(c if c.isprintable() else "?" for c in text)[:200]


def context(tls: Tls | None) -> ssl.SSLContext:
    """tls: None where TLS is not spoken at all. Raises Untrusted for files that cannot be used."""
    if tls is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; a real one takes long to make
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls.insecure else ssl.create_default_context()
    if not tls.insecure and not made.get_ca_certs() and not _system_has_some():
        import certifi

        made.load_verify_locations(certifi.where())
    for path in tls.ca_files:
        with _file(path):
            made.load_verify_locations(path)
    if tls.certificate:
        with _file(tls.certificate):
            made.load_cert_chain(tls.certificate, tls.key or None)
    if tls.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _system_has_some() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return True
    try:
        return bool(paths.capath and os.listdir(paths.capath))
    except OSError:
        return False


@contextmanager
def _file(path: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        raise Untrusted(f"{path} holds no certificate or key that can be used: {words(error)}") from error
    except OSError as error:
        raise Untrusted(f"cannot read {path}: {error.strerror}") from error
