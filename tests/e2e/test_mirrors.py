"""Mirrors of registries.conf: asked first, and passed over when they are down, lack the image or give wrong bytes."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tests.e2e.dockerregistry import docker_registry
from tests.e2e.lapstrake import Done, Lapstrake, folder
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange


class Wrong(MemoryRegistry):
    """Its layers have one wrong bit; what is asked for by digest is another manifest. asks: only who is there."""

    asks = False

    def answer(self, exchange: Exchange) -> None:
        if self.asks:
            exchange.send(401, WWW_Authenticate='Basic realm="mirror"')
        else:
            super().answer(exchange)

    def manifest(self, exchange: Exchange, name: str, what: str) -> None:
        if ":" in what:
            exchange.send(200, b"{}", Content_Type="application/vnd.oci.image.manifest.v1+json")
        else:
            super().manifest(exchange, name, what)

    def blob(self, exchange: Exchange, name: str, digest: str) -> None:
        data = self.blobs[name, digest]
        exchange.send(200, data if data.startswith(b"{") else data[:-1] + bytes([data[-1] ^ 1]))


def nobody() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.e2e
def test_mirrors_that_do_not_have_it(tmp_path: Path) -> None:
    """The registry itself, a real one, is the last that is asked."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        docker_registry(tmp_path / "first") as empty,
        docker_registry(tmp_path / "second") as registry,
    ):
        memory, digest = _same_image(tmp_path, f"{registry.host}/team/app:1")
        with running(memory) as wrong:
            conf = tmp_path / "registries.conf"

            def pull(name: str, *mirrors: str) -> Done:
                lines = [f'[[registry.mirror]]\nlocation = "{mirror}"' for mirror in mirrors]
                conf.write_text("\n".join([f'[[registry]]\nlocation = "{registry.host}"', *lines]))
                env = {"CONTAINERS_REGISTRIES_CONF": str(conf), "DOCKER_CONFIG": str(tmp_path / "docker")}
                fresh = Lapstrake(tmp_path / f"store-{len(list(tmp_path.iterdir()))}")
                return fresh.run("pull", f"{registry.host}/{name}", env=env)

            for mirror, name in (
                (nobody(), "team/app:1"), (empty.host, "team/app:1"), (wrong, f"team/app@{digest}")
            ):  # fmt: skip
                done = pull(name, mirror)
                assert done.status == 0 and f"Digest: {digest}" in done.out, done.err
            assert memory.server.seen  # it was asked
            del memory.server.seen[:]
            done = pull("team/app:1", nobody(), wrong, empty.host)
            assert done.status == 0 and f"Digest: {digest}" in done.out, done.err
            assert [seen.path for seen in memory.server.seen if seen.path.endswith("/manifests/1")]
            memory.asks = True
            login = {"auths": {registry.host: {"username": "me", "password": "word"}}}
            folder(tmp_path / "docker", {"config.json": json.dumps(login)})
            del memory.server.seen[:]
            assert pull("team/app:1", wrong).status == 0
            assert memory.server.seen and not any("authorization" in seen.headers for seen in memory.server.seen)
            missing = pull("team/none:1", nobody(), empty.host)
            assert missing.status == 1 and "not found" in missing.err


def _same_image(place: Path, name: str) -> tuple[Wrong, str]:
    """Build and push an image; a registry in memory that says to have it, too; its digest."""
    lapstrake = Lapstrake(place / "built")
    context = folder(place / "context", {"a": os.urandom(5000), "Dockerfile": "FROM scratch\nCOPY a /a\n"})
    lapstrake.built(context, "-t", name)
    assert lapstrake.run("push", name).status == 0
    entry = json.loads((lapstrake.store / "index.json").read_text())["manifests"][0]
    memory = Wrong()
    repository = name.partition("/")[2].partition(":")[0]
    for blob in (lapstrake.store / "blobs" / "sha256").iterdir():
        memory.add_blob(repository, blob.read_bytes())
    raw = memory.blobs[repository, entry["digest"]]
    memory.manifests[repository, entry["digest"]] = (entry["mediaType"], raw)
    memory.tags[repository, "1"] = entry["digest"]
    return memory, entry["digest"]
