"""Through a real registry and back: Docker, podman and skopeo read what we push, we read what they push.

Each time the digests are the same, so that every byte is: manifests, configs and layers are found by them.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.dockerd import Dockerd
from tests.e2e.dockerregistry import DockerRegistry, docker_registry
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = [pytest.mark.e2e, pytest.mark.oracle]

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = ["ARG TARGETARCH", "COPY a /a", "COPY Dockerfile /$TARGETARCH", "ENV X=1"]
    text = "\n".join(["FROM scratch", *lines, ""])
    return folder(tmp_path_factory.mktemp("context"), {"a": os.urandom(70_000), "Dockerfile": text})


def run(*words: str, folder: Path | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def raw(registry: DockerRegistry, name: str) -> bytes:
    """The manifest or index, as skopeo gets it."""
    words = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{name}"]
    return subprocess.run(words, capture_output=True, check=True, timeout=60).stdout


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("form", [OCI, DOCKER])
def test_what_we_push_is_what_they_pull(
    registry: DockerRegistry, context: Path, docker: Dockerd, tmp_path: Path, form: str
) -> None:
    name = f"{registry.host}/{'oci' if form == OCI else 'docker'}/app:1"
    lapstrake = Lapstrake(tmp_path / "store")
    types = f"type=image,push=true,name={name},oci-mediatypes={str(form == OCI).lower()}"
    lapstrake.built(context, "-o", types, "--metadata-file", str(tmp_path / "facts"))
    digest = json.loads((tmp_path / "facts").read_text())["containerimage.digest"]
    manifest = raw(registry, name.partition("/")[2])
    assert (sha256(manifest), json.loads(manifest)["mediaType"]) == (digest, form)

    copied = tmp_path / "copied"
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{copied}")
    assert (copied / "manifest.json").read_bytes() == manifest
    for blob in [json.loads(manifest)["config"], *json.loads(manifest)["layers"]]:
        data = (copied / blob["digest"].removeprefix("sha256:")).read_bytes()
        assert (sha256(data), len(data)) == (blob["digest"], blob["size"])

    with tempfile.TemporaryDirectory() as runroot:
        where = ("podman", "--root", f"{tmp_path}/podman", "--runroot", runroot, "--storage-driver", "vfs")
        try:
            run(*where, "pull", "-q", "--tls-verify=false", name)
            assert run(*where, "image", "inspect", "--format", "{{.Digest}}", name).strip() == digest
        finally:
            subprocess.run(["umount", "-l", f"{tmp_path}/podman/vfs"], check=False, capture_output=True)

    assert f"Digest: {digest}" in docker.call("pull", name)
    assert json.loads(manifest)["config"]["digest"] == docker.call("inspect", "-f", "{{.Id}}", name).strip()


@pytest.mark.parametrize("form", ["v2s2", "oci"])
def test_what_skopeo_and_podman_push_is_what_we_pull(
    registry: DockerRegistry, context: Path, tmp_path: Path, form: str
) -> None:
    built = Lapstrake(tmp_path / "built")
    built.built(context, "-t", "app", "-o", f"type=oci,dest={tmp_path}/app.tar")
    name = f"{registry.host}/{form}/theirs"
    run(
        *("skopeo", "copy", "-q", "--format", form, "--dest-compress-format", "zstd" if form == "oci" else "gzip"),
        *("--dest-tls-verify=false", f"oci-archive:{tmp_path}/app.tar", f"docker://{name}:skopeo"),
    )
    tags = ["skopeo"]
    if os.geteuid() == 0:
        tags.append("podman")
        with tempfile.TemporaryDirectory() as runroot:
            where = ("podman", "--root", f"{tmp_path}/podman", "--runroot", runroot, "--storage-driver", "vfs")
            try:
                loaded = run(*where, "load", "-q", "-i", f"{tmp_path}/app.tar").split()[-1]
                run(*where, "push", "-q", "--tls-verify=false", "--format", form, loaded, f"docker://{name}:podman")
            finally:
                subprocess.run(["umount", "-l", f"{tmp_path}/podman/vfs"], check=False, capture_output=True)
    ours = Lapstrake(tmp_path / "ours")
    for tag in tags:
        digest = registry.digest(f"{form}/theirs:{tag}")
        done = ours.run("pull", f"{name}:{tag}")
        assert done.status == 0 and f"Digest: {digest}" in done.out, done.err
        assert _kept(ours, digest) == raw(registry, f"{form}/theirs:{tag}")


def test_docker_and_us_push_for_each_other(
    registry: DockerRegistry, context: Path, docker: Dockerd, engine: Engine, tmp_path: Path
) -> None:
    """An older and a newer engine, each way."""
    lapstrake = Lapstrake(tmp_path / "store")
    lapstrake.built(context, "-t", "app", "-o", f"type=docker,dest={tmp_path}/app.tar,name=app")
    for number, call in enumerate((docker.call, engine.call)):
        name = f"{registry.host}/docker/theirs:{number}"
        call("load", "-i", f"{tmp_path}/app.tar")
        call("tag", "app", name)
        digest = call("push", name).partition("digest: ")[2].split()[0]
        done = lapstrake.run("pull", name)
        assert done.status == 0 and f"Digest: {digest}" in done.out, done.err
        assert _kept(lapstrake, digest) == raw(registry, f"docker/theirs:{number}")
        again = f"{registry.host}/ours/again:{number}"
        lapstrake.run("tag", name, again)
        assert f"digest: {digest} size:" in lapstrake.run("push", again).out
        assert f"Digest: {digest}" in call("pull", again)


def test_an_index_of_two_platforms(
    registry: DockerRegistry, context: Path, docker: Dockerd, engine: Engine, tmp_path: Path
) -> None:
    name = f"{registry.host}/index/ours:1"
    lapstrake = Lapstrake(tmp_path / "store")
    facts = ("--metadata-file", str(tmp_path / "facts"))
    lapstrake.built(context, "--push", "--platform", "linux/amd64,linux/arm64", "-t", name, *facts)
    digest = json.loads((tmp_path / "facts").read_text())["containerimage.digest"]
    index = raw(registry, "index/ours:1")
    assert sha256(index) == digest and [m["platform"] for m in json.loads(index)["manifests"]] == [
        {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"},
    ]  # fmt: skip
    for call in (docker.call, engine.call):
        for machine in ("arm64", "amd64"):
            call("pull", "--platform", f"linux/{machine}", name)
            assert call("inspect", "-f", "{{.Architecture}}", name).strip() == machine
    theirs = f"{registry.host}/index/theirs:1"
    copy = ("skopeo", "copy", "-q", "--all", "--src-tls-verify=false", "--dest-tls-verify=false")
    run(*copy, f"docker://{name}", f"docker://{theirs}")
    other = Lapstrake(tmp_path / "other")
    for machine in ("arm64", "amd64"):
        done = other.run("pull", "--platform", f"linux/{machine}", theirs)
        assert done.status == 0 and f"Digest: {digest}" in done.out, done.err
    assert _kept(other, digest) == index
    moved = f"{registry.host}/index/moved:1"
    other.run("tag", theirs, moved)
    assert other.run("push", moved).status == 0 and raw(registry, "index/moved:1") == index


def _kept(lapstrake: Lapstrake, digest: str) -> bytes:
    return (lapstrake.store / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
