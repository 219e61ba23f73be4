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

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def base_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/base with a busybox in it."""
    if os.geteuid() != 0 and subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel gives an ordinary user no user namespace")
    context = tmp_path_factory.mktemp("base")
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(EXAMPLES / "base" / name, context / name)
    done = subprocess.run(
        ["bash", str(EXAMPLES / "busybox.sh"), str(context / "busybox")], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no static busybox: {done.stderr}")
    return context


@pytest.fixture(scope="session")
def base(base_context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base image as an archive: busybox, its links, root and `web` in /etc/passwd, /tmp."""
    folder = tmp_path_factory.mktemp("base-image")
    archive = folder / "base.tar"
    Lapstrake(folder / "store").built(base_context, "-t", "base", "-o", f"type=docker,dest={archive}")
    return archive


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
