"""What holds for every test: a plain environment, no test that needs root without it, and the small base image."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.engine import ROOT, Engine
from tests.e2e.lapstrake import Lapstrake

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

_SPEAKING = ("LAPSTRAKE_", "BUILDKIT_", "BUILDX_", "DOCKER_", "SOURCE_DATE_EPOCH", "NO_COLOR", "XDG_DATA_HOME")


# How long an example takes says nothing on a machine that does other things too.
settings.register_profile("lapstrake", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lapstrake")


def pytest_configure(config: pytest.Config) -> None:
    for name in list(os.environ):
        if name.startswith(_SPEAKING):
            del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


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


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Engine]:
    """A newer Docker Engine, with the small base loaded as `base`; contexts lie in pytest's own folder."""
    yield from running_engine(tmp_path_factory.getbasetemp(), base, containerd=False)


@pytest.fixture(scope="session")
def buildkit(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Engine]:
    """The same to build with: with a storage in which BuildKit does all that it can."""
    yield from running_engine(tmp_path_factory.getbasetemp(), base, containerd=True)


def running_engine(folder: Path, base: Path, *, containerd: bool) -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    if not ROOT.is_dir():
        pytest.skip(f"no newer engine in {ROOT}; tests/engine.sh makes it")
    with Engine(folder, containerd=containerd) as running:
        running.call("load", "-i", str(base))
        yield running
