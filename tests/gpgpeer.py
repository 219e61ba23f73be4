"""GnuPG: keys of a home of its own, which it makes, revokes and signs with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class GnuPG:
    """Its folder is short, since an agent listens in it. stop() ends that agent."""

    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="lg-", dir="/tmp")
        self.environment = {**os.environ, "GNUPGHOME": self.home, "LC_ALL": "C"}

    def run(self, *words: str, input: bytes | None = None) -> bytes:
        whole = ["gpg", "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *words]
        done = subprocess.run(whole, env=self.environment, input=input, capture_output=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def key(self, name: str, kind: str = "ed25519", *more: str, until: str = "0") -> str:
        """A new key that signs; gives its fingerprint."""
        self.run(*more, "--quick-gen-key", f"{name} <{name}@example.com>", kind, "sign", until)
        return self.fingerprint(name)

    def fingerprint(self, name: str) -> str:
        listed = self.run("--list-keys", "--with-colons", f"<{name}@example.com>").decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr"))

    def export(self, *names: str, armored: bool = True) -> bytes:
        return self.run(*(("--armor",) if armored else ()), "--export", *(f"<{name}@example.com>" for name in names))

    def sign(self, data: bytes, *names: str, more: tuple[str, ...] = (), armored: bool = True) -> bytes:
        users = [word for name in names for word in ("-u", f"<{name}@example.com>")]
        return self.run(*users, *more, *(("--armor",) if armored else ()), "-b", "-o", "-", input=data)

    def revoke(self, name: str) -> None:
        """By the certificate that gpg makes with each key, whose first line is guarded; the reason is none."""
        path = Path(self.home, "openpgp-revocs.d", f"{self.fingerprint(name)}.rev")
        self.run("--import", input=path.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environment, capture_output=True, check=False)
        shutil.rmtree(self.home, ignore_errors=True)
