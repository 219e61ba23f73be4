from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpgpeer import GnuPG

os.environ["RUST_LIB_BACKTRACE"] = "0"  # where a developer has RUST_BACKTRACE, each error of pysequoia would take 2 ms


@pytest.fixture(scope="session")
def gpg() -> Iterator[GnuPG]:
    peer = GnuPG()
    try:
        peer.key("ann")
        peer.key("bob", "rsa2048")
        yield peer
    finally:
        peer.stop()


class Signed:
    """A repository whose commits and tags are signed by one key."""

    def __init__(self, folder: Path, hashes: str, *settings: str, home: str = "/none") -> None:
        self.folder = folder
        folder.mkdir()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "GNUPGHOME": home,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann <of> Bérn",
            "GIT_AUTHOR_EMAIL": "ann@example.com",
            "GIT_AUTHOR_DATE": "1700000000 +0130",
            "GIT_COMMITTER_NAME": "Bob",
            "GIT_COMMITTER_EMAIL": "bob@example.com",
            "GIT_COMMITTER_DATE": "1700000001 +0000",
        }
        self.settings = [word for setting in settings for word in ("-c", setting)]
        self.git("init", "-q", "-b", "main", f"--object-format={hashes}")

    def git(self, *words: str, input: bytes | None = None) -> bytes:
        whole = ["git", *self.settings, *words]
        done = subprocess.run(
            whole, cwd=self.folder, env=self._environment, input=input, capture_output=True, check=False
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def commit(self, *words: str, message: str = "One\n\nmore") -> tuple[str, bytes]:
        """Name and bytes of a new commit."""
        self.git("commit", "-q", "--allow-empty", "-m", message, *words)
        return self.read("HEAD")

    def tag(self, *words: str, name: str = "v1") -> tuple[str, bytes]:
        self.git("tag", "-f", "-m", "Release one", *words, name)
        return self.read(name)

    def read(self, name: str) -> tuple[str, bytes]:
        found = self.git("rev-parse", name).decode().strip()
        return found, self.git("cat-file", self.git("cat-file", "-t", found).decode().strip(), found)
