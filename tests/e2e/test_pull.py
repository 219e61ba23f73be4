"""`lapstrake pull` from Debian's docker-registry, of images that skopeo put there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.dockerregistry import USER, WORD, DockerRegistry, docker_registry
from tests.e2e.lapstrake import Lapstrake, folder
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("image")
    context = folder(place / "context", {"a": os.urandom(300_000), "Dockerfile": "FROM scratch\nCOPY a /a\nCMD x\n"})
    Lapstrake(place / "store").built(context, "-o", f"type=oci,dest={place}/app.tar")
    return place / "app.tar"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as one:
        yield one


@pytest.fixture
def bare(tmp_path: Path) -> Lapstrake:
    """Without the small base."""
    return Lapstrake(tmp_path / "store")


@pytest.mark.e2e
def test_pull_and_pull_again(bare: Lapstrake, registry: DockerRegistry, archive: Path) -> None:
    registry.push(archive, "team/app:1")
    name = f"{registry.host}/team/app:1"
    digest = registry.digest("team/app:1")
    first = bare.run("pull", name)
    assert first.status == 0, first.err
    lines = first.out.splitlines()
    assert lines[0] == "1: Pulling from team/app"
    assert lines[1].endswith(": Pulling fs layer") and lines[2].endswith(": Pull complete")
    assert lines[3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    assert f"Status: Image is up to date for {name}" in bare.run("pull", name).out
    assert bare.run("pull", "-q", name).out == f"{name}\n"
    assert digest in bare.run("images", "--digests").out


@pytest.mark.e2e
def test_a_tag_that_moved(bare: Lapstrake, registry: DockerRegistry, archive: Path, tmp_path: Path) -> None:
    registry.push(archive, "app:1")
    old = registry.digest("app:1")
    bare.run("pull", f"{registry.host}/app:1")
    context = folder(tmp_path / "new", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    bare.built(context, "-o", f"type=oci,dest={tmp_path}/new.tar")
    registry.push(tmp_path / "new.tar", "app:1")
    again = bare.run("pull", f"{registry.host}/app:1")
    assert "Status: Downloaded newer image" in again.out and old not in again.out
    assert registry.digest("app:1") in bare.run("images", "--digests").out
    by_digest = bare.run("pull", f"{registry.host}/app@{old}")
    assert f"Digest: {old}" in by_digest.out, by_digest.err


@pytest.mark.e2e
def test_all_tags(bare: Lapstrake, registry: DockerRegistry, archive: Path) -> None:
    for tag in ("1", "2", "x"):
        registry.push(archive, f"app:{tag}")
    done = bare.run("pull", "-a", f"{registry.host}/app")
    assert done.status == 0, done.err
    assert [line.partition(":")[0] for line in done.out.splitlines() if "Pulling from" in line] == ["1", "2", "x"]
    assert bare.run("images").out.count(f"{registry.host}/app") == 3


@pytest.mark.e2e
def test_what_is_not_there(bare: Lapstrake, registry: DockerRegistry) -> None:
    done = bare.run("pull", f"{registry.host}/app:none")
    assert (done.status, done.err.splitlines()[0]) == (1, f"ERROR: {registry.host}/app:none: not found")
    assert "Traceback" not in done.err


@pytest.mark.e2e
def test_with_tls_and_passwords(bare: Lapstrake, archive: Path, tmp_path: Path) -> None:
    for name in ("plain", "secure", "ca"):
        (tmp_path / name).mkdir()
    with docker_registry(tmp_path / "plain") as one:
        one.push(archive, "app:1")
    (tmp_path / "secure" / "data").symlink_to(tmp_path / "plain" / "data")
    authority = Authority(tmp_path / "ca")
    with docker_registry(tmp_path / "secure", tls=authority.issue("server"), passwords=True) as two:
        home = {"HOME": str(tmp_path / "home"), "DOCKER_CONFIG": str(tmp_path / "home" / ".docker")}
        trusted = tmp_path / "home" / ".docker" / "certs.d" / two.host
        trusted.mkdir(parents=True)
        (trusted / "ca.crt").write_bytes(authority.ca.read_bytes())
        name = f"{two.host}/app:1"
        refused = bare.run("pull", name, env=home)
        assert refused.status == 1 and "authentication required" in refused.err
        config = folder(tmp_path / "home" / ".docker", {"config.json": f'{{"auths": {{"{two.host}": {{"username": '
                        f'"{USER}", "password": "{WORD}"}}}}}}'})  # fmt: skip
        done = bare.run("pull", name, env=home)
        assert done.status == 0, done.err
        assert WORD not in done.out + done.err and config.is_dir()


@pytest.mark.e2e
def test_a_mirror_goes_first(bare: Lapstrake, registry: DockerRegistry, archive: Path, tmp_path: Path) -> None:
    registry.push(archive, "hub/library/app:1")
    conf = tmp_path / "registries.conf"
    mirror = f'[[registry.mirror]]\nlocation = "{registry.host}/hub"\ninsecure = true\n'
    conf.write_text(f'[[registry]]\nlocation = "docker.io"\n{mirror}')
    done = bare.run("pull", "app:1", env={"CONTAINERS_REGISTRIES_CONF": str(conf)})
    assert "Status: Downloaded newer image for app:1" in done.out, done.err


@pytest.mark.e2e
def test_from_a_registry(bare: Lapstrake, registry: DockerRegistry, archive: Path, tmp_path: Path) -> None:
    """Layers come with the first step that reads them; a build of hits asks for nothing."""
    registry.push(archive, "app:1")
    base = f"{registry.host}/app:1"
    files = {"Dockerfile": f"FROM {base}\nENV X=1\nFROM scratch\nCOPY --from={base} /a /b\n"}
    context = folder(tmp_path / "context", files)
    first = bare.built(context, "-o", "type=cacheonly")
    assert f"[internal] load metadata for {base}" in first.err and f"[internal] pull {base}" in first.err
    again = bare.built(context, "-o", "type=cacheonly")
    assert again.cached == 1 and "load metadata" not in again.err and "pull" not in again.err
    config_only = bare.built(folder(tmp_path / "env", {"Dockerfile": f"FROM {base}\nENV X=1\n"}), "--pull", "-t", "x")
    assert "load metadata" in config_only.err
    named = folder(tmp_path / "named", {"Dockerfile": "FROM other\nCOPY --from=other /a /c\n"})
    bare.built(named, "--build-context", f"other=docker-image://{base}")


class Waiting(MemoryRegistry):
    """Gives the second layer only when the first one is unpacked in `snapshots`. waited: whether that came to be."""

    second, waited = "", False

    def __init__(self, snapshots: Path) -> None:
        super().__init__()
        self._snapshots = snapshots

    def blob(self, exchange: Exchange, name: str, digest: str) -> None:
        deadline = time.monotonic() + 60
        while digest == self.second and not self.waited and time.monotonic() < deadline:
            self.waited = any(self._snapshots.glob("*/first"))
            time.sleep(0.02)
        super().blob(exchange, name, digest)


@pytest.mark.e2e
def test_a_layer_is_unpacked_while_the_next_one_comes(bare: Lapstrake, base: Path, tmp_path: Path) -> None:
    memory = Waiting(bare.store / "snapshots")
    layers = [{"first": b"1"}, {"second": b"2"}]
    memory.add_image("app", "1", layers, "amd64")
    manifest = json.loads(next(iter(memory.manifests.values()))[1])
    memory.second = manifest["layers"][1]["digest"]
    with running(memory) as host:
        mount = "--mount=type=bind,from=base,source=/bin,target=/b"
        text = f'FROM --platform=linux/amd64 {host}/app:1\nRUN {mount} ["/b/busybox", "true"]\n'
        context = folder(tmp_path / "context", {"Dockerfile": text})
        bare.built(context, "--platform=linux/amd64", f"--build-context=base=docker-archive://{base}")
    assert memory.waited


def test_a_platform_that_a_plain_image_is_not_for(bare: Lapstrake) -> None:
    registry = MemoryRegistry()
    registry.add_image("app", "1", [{"f": b"x"}], architecture="arm64")
    with running(registry) as host:
        name = f"{host}/app:1"
        fits = bare.run("pull", "--platform=linux/arm64", name)
        other = bare.run("pull", "--platform=linux/s390x", name)
    assert (fits.status, other.status) == (0, 0), fits.err + other.err
    warning = (
        f"WARNING: image with reference {name} was found but its platform (linux/arm64) does not match the specified "
        "platform (linux/s390x)"
    )
    assert warning in other.out.splitlines()
    assert "WARNING" not in fits.out


def test_a_damaged_file_of_logins_is_told(bare: Lapstrake, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{ oh")
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry", passwords=True) as registry:
        done = bare.run("pull", f"{registry.host}/app:1", env={**os.environ, "DOCKER_CONFIG": str(tmp_path)})
    assert done.status != 0
    warning = f"WARNING: {tmp_path}/config.json cannot be read: it is no JSON: no login is taken from it"
    assert done.err.splitlines()[0] == warning
