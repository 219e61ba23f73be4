"""The commands of the documents, run as they are written, in the order in which they stand, on one store.

The names in them are given a meaning here: a project in the working directory, registries that are one in memory, an
engine at $DOCKER_HOST that takes what it gets.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lapstrake import folder
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange, serving

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = """\
FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS build
WORKDIR /work
COPY src src
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=token \
    cp src/main.c made && cp made /root/.cache && touch -d @1 made .
FROM scratch AS dist
COPY --from=build /work/made /
FROM debian:bookworm-slim AS test
ARG VERSION
COPY --from=build /work/made /made
FROM debian:bookworm-slim
ENV A=1
COPY --from=build /work/made /made
COPY --chmod=755 tests /tests
"""
POLICY = 'package docker\ndefault allow := true\ndecision := {"allow": allow}\n'
CONF = """\
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "HOST"
insecure = true
[[registry]]
prefix = "registry.example.com"
location = "HOST"
insecure = true
"""


class Registry(MemoryRegistry):
    def answer(self, exchange: Exchange) -> None:
        if exchange.path.startswith("/v2/_catalog"):
            exchange.send(200, json.dumps({"repositories": sorted({name for name, _ in self.tags})}).encode())
        else:
            super().answer(exchange)


def plain_layers(archive: Path) -> list[dict[str, bytes] | bytes]:
    with tarfile.open(archive) as tar:
        read = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        data = {name: file.read() for name, file in read.items() if file is not None}
    blobs = [data[name] for name in json.loads(data["manifest.json"])[0]["Layers"]]
    return [gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob for blob in blobs]


@pytest.fixture
def project(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory; the environment is what a shell there has."""
    files = {
        "Dockerfile": DOCKERFILE,
        "ci/Dockerfile": DOCKERFILE,
        "Dockerfile.rego": POLICY,
        "policy.rego": POLICY,
        "policy_test.rego": "package docker\ntest_all if allow\n",
        "src/main.c": "int main;\n",
        "token.txt": "s3cr3t",
    }
    programs = {
        "bin/lapstrake": f'#!/bin/sh\nexec {sys.executable} -m builder.cli.start "$@"\n',
        "tests/smoke": "#!/bin/sh\ntest -s /made\n",
    }
    place = folder(tmp_path / "project", {**files, **programs})
    for program in programs:
        (place / program).chmod(0o755)
    shutil.copy(base, place / "base.tar")
    with tarfile.open(place / "rootfs.tar.xz", "w:xz") as tar:
        tar.add(place / "src")
    registry = Registry()
    layers = plain_layers(base)
    images = [registry.add_image("library/debian", "", layers, architecture) for architecture in ("amd64", "arm64")]
    for tag in ("latest", "bookworm", "bookworm-slim"):
        registry.add_index("library/debian", tag, images)
    registry.add_index("team/app", "latest", images)
    with running(registry) as host, serving(lambda e: e.send(200, b"{}")) as engine:
        (tmp_path / "registries.conf").write_text(CONF.replace("HOST", host))
        monkeypatch.setenv("PATH", f"{place}/bin:{os.environ['PATH']}")
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setenv("LAPSTRAKE_ROOT", str(tmp_path / "store"))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{engine.host}")
        yield place


def commands(document: str) -> list[str]:
    """The lines of its shell blocks that run lapstrake, those that are continued as one."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("lapstrake ") and "type=s3" not in line]


MADE = {
    "README.md": ("app.tar", "app/index.json", "out/made", "all.tar", "cache.tar.zst"),
    "docs/explain.md": (),
    "docs/policy.md": (),
    "docs/shared-cache.md": ("cache/index.json",),
}


@pytest.mark.parametrize("document", MADE)
def test_commands_do_what_they_say(project: Path, document: str) -> None:
    before = "lapstrake build -q -t app:1.2 -t registry.example.com/app:1.2 ."  # names that the commands take for given
    written = commands(document)
    assert len(written) > 3
    for line in (before, *written):
        words = ["bash", "-c", line]
        done = subprocess.run(words, cwd=project, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert [name for name in MADE[document] if not (project / name).exists()] == []
