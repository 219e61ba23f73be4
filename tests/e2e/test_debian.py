"""Real input: a Debian base, packages, a Python application of two stages. Needs mmdebstrap and package indexes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES
from tests.e2e.compare import flatten
from tests.e2e.dockerd import Dockerd
from tests.e2e.lapstrake import Lapstrake

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

BASE = 'FROM scratch\nADD rootfs.tar /\nCMD ["bash"]\n'
PACKAGES = """\
FROM debian-minimal AS python
COPY apt /etc/apt
COPY certificates /etc/ssl/certs
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*

FROM python AS build
COPY pip.conf /etc/pip.conf
COPY wheels /wheels
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
"""


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minimal Debian as this machine's own sources give it."""
    if not shutil.which("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed")
    sources = sources_text()
    if "debian" not in sources:
        pytest.skip("this machine is not a Debian")
    path = tmp_path_factory.mktemp("debian") / "rootfs.tar"
    done = subprocess.run(
        ["mmdebstrap", "--variant=apt", "--mode=root", "--quiet", "--skip=cleanup/apt/lists",
         codename(), str(path), "-"],
        input=sources, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"mmdebstrap: {done.stderr[-400:]}")
    return path


def codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def sources_text() -> str:
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.sources")]
    files += Path("/etc/apt/sources.list.d").glob("*.list")
    return "\n\n".join(f.read_text() for f in files if f.is_file())


def copied(source: Path, dest: Path) -> None:
    """A folder of configuration; what is not there is left empty."""
    if source.is_dir():
        shutil.copytree(source, dest, symlinks=False, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    else:
        dest.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def store(tmp_path: Path, rootfs: Path) -> Lapstrake:
    lapstrake = Lapstrake(tmp_path / "store")
    context = tmp_path / "debian"
    context.mkdir()
    (context / "Dockerfile").write_text(BASE)
    os.link(rootfs, context / "rootfs.tar")
    lapstrake.built(context, "-t", "debian-minimal")
    return lapstrake


def wheels(folder: Path) -> None:
    """The application's requirements, fetched by this machine's own pip, which knows its indexes."""
    folder.mkdir()
    requirements = str(EXAMPLES / "python-app" / "requirements.txt")
    done = subprocess.run(
        ["pip", "download", "--quiet", "--only-binary=:all:", "-d", str(folder), "-r", requirements],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr[-300:]}")


@pytest.mark.oracle
def test_a_python_application(store: Lapstrake, tmp_path: Path, docker: Dockerd) -> None:
    context = tmp_path / "packages"
    context.mkdir()
    copied(Path("/etc/apt"), context / "apt")
    copied(Path("/etc/ssl/certs"), context / "certificates")
    wheels(context / "wheels")
    (context / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    (context / "Dockerfile").write_text(PACKAGES)
    store.built(context, "--network", "host", "--target", "python", "-t", "python-slim")
    store.built(context, "--network", "host", "-t", "python-build")

    archive = tmp_path / "app.tar"
    app = EXAMPLES / "python-app"
    arguments = ("--build-arg", "BASE=python-slim", "--build-arg", "BUILD_BASE=python-build", "-t", "greeter")
    store.built(app, *arguments, "-o", f"type=docker,dest={archive}")
    again = store.built(app, *arguments, "-o", f"type=docker,dest={archive}")
    assert not [step for step in again.steps("DONE") if step.startswith("RUN")]

    image = flatten(archive)
    assert "opt/greeter/bin/python3" in image.files
    assert "wheels" not in image.files
    assert not any(name.startswith("app/") for name in image.files)
    docker.call("load", "-i", str(archive))
    assert docker.call("run", "--rm", "--network", "none", "greeter") == "Hello, world!\n"
    assert docker.call("run", "--rm", "--network", "none", "greeter", "you") == "Hello, you!\n"
