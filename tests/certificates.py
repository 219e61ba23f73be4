"""A certificate authority of the tests' own, made with openssl(1)."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

LOOPBACK = "IP:127.0.0.1,DNS:localhost"


class Authority:
    """Files in `folder`: ca.pem, and per certificate NAME.pem and NAME.key."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self.folder = folder
        self.ca = folder / "ca.pem"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign", "-keyout", folder / "ca.key", "-out", self.ca),
        )

    def issue(self, name: str, alternatives: str = LOOPBACK) -> tuple[Path, Path]:
        """A certificate and its key."""
        request, key, made = (self.folder / f"{name}{end}" for end in (".csr", ".key", ".pem"))
        _openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
        )
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", extensions, "-out", made),
        )
        return made, key

    def context(
        self, name: str = "server", alternatives: str = LOOPBACK, client_ca: Path | None = None
    ) -> ssl.SSLContext:
        """For a server; client_ca: ask clients for certificates of this authority."""
        certificate, key = self.issue(name, alternatives)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)
