from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitpeers import Peer, Repository, daemon, listening


class Served:
    """repository: what is served at url by a git daemon, peer, which counts its connections."""

    def __init__(self, folder: Path, peer: Peer) -> None:
        self.folder, self.peer = folder, peer
        self.base = f"git://127.0.0.1:{peer.port}"
        self.repository = self.another("app")
        self.url = self.repository.url

    def another(self, name: str, *init: str) -> Repository:
        return Repository(self.folder / "served", self.folder / "work", name, *init, base=self.base)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (tmp_path / "served").mkdir()
    with listening(daemon(tmp_path / "served"), tmp_path / "daemon.log") as peer:
        yield Served(tmp_path, peer)
