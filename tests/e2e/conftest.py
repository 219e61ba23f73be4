"""A small base, a store of each test's own, and a Docker Engine of the session's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.dockerd import Dockerd
from tests.e2e.lapstrake import Lapstrake


@pytest.fixture
def lapstrake(tmp_path: Path, base: Path) -> Lapstrake:
    """With an empty store; FROM base is the small base."""
    return Lapstrake(tmp_path / "store", base)


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    if not shutil.which("dockerd") or not shutil.which("docker"):
        pytest.skip("dockerd is not installed")
    with Dockerd(tmp_path_factory.mktemp("docker")) as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_base(docker: Dockerd, base: Path) -> Dockerd:
    """The engine with the small base loaded as `base`."""
    docker.call("load", "-i", str(base))
    return docker


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """48 MB of tmpfs."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("no mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
