"""Pulling from registries that are honest, broken or hostile: whole images come, or an error and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.errors import BuildFault, ImageFault, NotThere, RateLimited, RegistryFault, SourceFault, TransportFault
from builder.images.image import Image
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.registry.credentials import Credentials
from builder.registry.registries import Registries
from builder.registry.registriesconf import RegistriesConf
from builder.source.pulled import Pulled
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.store import Store
from tests.memoryregistry import MemoryRegistry, digest_of, running
from tests.webserver import Exchange

AMD64 = Platform(architecture="amd64", os="linux")
FILES: dict[str, bytes] = {"a": os.urandom(100_000)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path / "root"))
    yield made
    made.close()


def pull(registry: MemoryRegistry, store: Store, name: str = "app:1", seen: Callable[..., None] | None = None) -> Image:
    transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=3))
    try:
        with running(registry) as host:
            registries = Registries(transport, RegistriesConf(), Credentials("/nonexistent"), lambda: 0.0)
            pulled = Pulled(registries, store.blobs)
            reference = Reference.parse(f"{host}/{name}")
            _, image = pulled.locate(reference, AMD64)
            pulled.fetch(reference, image.layers, seen or (lambda layer, what, count: None))
            return image
    finally:
        transport.close()


def layer_blobs(registry: MemoryRegistry, store: Store) -> list[str]:
    """Layers that are in the store under a name."""
    layers = {layer["digest"] for _, raw in registry.manifests.values() for layer in json.loads(raw).get("layers", [])}
    return [str(d) for d in store.blobs.digests() if str(d) in layers]


def test_an_image_comes_whole_and_what_is_there_is_not_asked_for(store: Store) -> None:
    registry = MemoryRegistry()
    registry.add_image("app", "1", [FILES, {"b": b"2"}])
    image = pull(registry, store)
    assert all(store.blobs.has(layer.blob.digest, layer.blob.size) for layer in image.layers)
    words: list[str] = []
    pull(registry, store, seen=lambda layer, what, count: words.append(what))
    assert set(words) == {"Already exists"}
    assert not any(
        "/blobs/" in seen.path and image.layers[0].blob.digest.hex in seen.path for seen in registry.server.seen
    )


def test_only_the_platform_asked_for(store: Store) -> None:
    registry = MemoryRegistry()
    entries = [registry.add_image("app", "", [{"f": arch.encode()}], arch) for arch in ("arm64", "amd64")]
    registry.add_index("app", "1", entries)
    image = pull(registry, store)
    assert str(image.descriptor.digest) == entries[1]["digest"]
    assert not any(entries[0]["digest"] in seen.path for seen in registry.server.seen)


def test_no_platform_fits(store: Store) -> None:
    registry = MemoryRegistry()
    registry.add_index("app", "1", [registry.add_image("app", "", [FILES], "arm64")])
    with pytest.raises(ImageFault, match="no match for platform"):
        pull(registry, store)


def test_by_digest(store: Store) -> None:
    registry = MemoryRegistry()
    old = registry.add_image("app", "1", [FILES])["digest"]
    registry.add_image("app", "1", [{"new": b""}])
    assert str(pull(registry, store, f"app@{old}").descriptor.digest) == old


def test_not_there(store: Store) -> None:
    with pytest.raises(NotThere, match="not found"):
        pull(MemoryRegistry(), store)


class Cut(MemoryRegistry):
    """Ends the connection after each tenth of a blob."""

    def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
        tenth = 10_001
        headers = {"content_length": str(len(data))}
        if status == 206:
            headers["Content_Range"] = f"bytes {start}-{start + len(data) - 1}/{start + len(data)}"
        exchange.send(status, data[:tenth], **headers)
        if len(data) > tenth:
            exchange.cut()


def test_a_blob_that_breaks_off_is_carried_on(store: Store) -> None:
    registry = Cut()
    registry.add_image("app", "1", [FILES])
    image = pull(registry, store)
    assert store.blobs.has(image.layers[0].blob.digest)
    asked = [s.headers.get("range") for s in registry.server.seen if image.layers[0].blob.digest.hex in s.path]
    assert asked[:3] == [None, "bytes=10001-", "bytes=20002-"]


class NoRanges(Cut):
    """Knows no ranges: sends all from the first byte, and more each time."""

    tries = 0

    def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
        whole = self.blobs[next(k for k, v in self.blobs.items() if v.endswith(data))]
        self.tries += 1
        sent = 30_000 * self.tries
        exchange.send(200, whole[:sent], content_length=str(len(whole)))
        if sent < len(whole):
            exchange.cut()


def test_a_server_without_ranges(store: Store) -> None:
    registry = NoRanges()
    registry.add_image("app", "1", [FILES])
    assert store.blobs.has(pull(registry, store).layers[0].blob.digest)


def wrong(change: Callable[[MemoryRegistry, Exchange, bytes], None]) -> MemoryRegistry:
    """A registry whose layers are sent by `change`."""

    class Hostile(MemoryRegistry):
        def blob(self, exchange: Exchange, name: str, digest: str) -> None:
            data = self.blobs[name, digest]
            if data.startswith(b"{"):
                exchange.send(200, data)
            else:
                change(self, exchange, data)

    registry = Hostile()
    registry.add_image("app", "1", [FILES])
    return registry


def endless(registry: MemoryRegistry, exchange: Exchange, data: bytes) -> None:
    exchange.send_response(200)
    exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    while True:
        exchange.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def no_http(registry: MemoryRegistry, exchange: Exchange, data: bytes) -> None:
    exchange.wfile.write(b"\0\0\0\n\n")
    exchange.cut()


def cut_at_once(registry: MemoryRegistry, exchange: Exchange, data: bytes) -> None:
    exchange.send(200, b"", content_length=str(len(data)))
    exchange.cut()


HOSTILE: dict[str, Callable[[MemoryRegistry, Exchange, bytes], None]] = {
    "one wrong bit": lambda r, e, data: e.send(200, data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]),
    "wrong last bit": lambda r, e, data: e.send(200, data[:-1] + bytes([data[-1] ^ 1])),
    "short": lambda r, e, data: e.send(200, data[:-1]),
    "long": lambda r, e, data: e.send(200, data + b"x"),
    "endless": endless,
    "empty": lambda r, e, data: e.send(200),
    "gone": lambda r, e, data: e.send(404),
    "broken": lambda r, e, data: e.send(500),
    "busy": lambda r, e, data: e.send(429, Retry_After="9999"),
    "refused": lambda r, e, data: e.send(403),
    "always asks who we are": lambda r, e, data: e.send(401, WWW_Authenticate='Basic realm="x"'),
    "asks in an unknown way": lambda r, e, data: e.send(401, WWW_Authenticate="Strange"),
    "redirects in circles": lambda r, e, data: e.send(307, Location=e.path),
    "redirects to a file": lambda r, e, data: e.send(307, Location="file:///etc/passwd"),
    "another range": lambda r, e, data: e.send(206, data, Content_Range="bytes 7-9/10"),
    "no HTTP": no_http,
    "cut at once": cut_at_once,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_layer_leaves_nothing(store: Store, what: str) -> None:
    registry = wrong(HOSTILE[what])
    with pytest.raises(BuildFault) as caught:
        pull(registry, store)
    assert layer_blobs(registry, store) == []
    assert os.listdir(store.path("tmp")) == []
    if what in ("one wrong bit", "wrong last bit", "short", "long", "empty"):
        layer = json.loads(next(iter(registry.manifests.values()))[1])["layers"][0]
        assert layer["digest"] in caught.value.message


@pytest.mark.parametrize("what", ["cut at once", "no HTTP"])
def test_what_brings_nothing_is_given_up(store: Store, what: str) -> None:
    registry = wrong(HOSTILE[what])
    with pytest.raises(TransportFault):
        pull(registry, store)
    layer = json.loads(next(iter(registry.manifests.values()))[1])["layers"][0]
    assert 1 < sum(layer["digest"] in seen.path for seen in registry.server.seen) <= 9


def test_being_asked_too_often_is_told_as_such(store: Store) -> None:
    with pytest.raises(RateLimited, match="toomanyrequests"):
        pull(wrong(HOSTILE["busy"]), store)


def test_plain_bytes_that_are_not_the_diff_id(store: Store) -> None:
    registry = MemoryRegistry()
    registry.add_image("app", "1", [FILES])
    document = json.loads(next(iter(registry.manifests.values()))[1])
    other = MemoryRegistry()
    other.add_image("x", "1", [{"evil": b"1"}])
    evil = json.loads(next(iter(other.manifests.values()))[1])["layers"][0]
    registry.blobs["app", evil["digest"]] = other.blobs["x", evil["digest"]]
    registry.add_manifest("app", "1", {**document, "layers": [evil]})
    with pytest.raises(SourceFault, match="not the layer"):
        pull(registry, store)
    assert layer_blobs(registry, store) == []


def test_a_manifest_that_is_not_what_was_asked_for(store: Store) -> None:
    registry = MemoryRegistry()
    registry.add_image("app", "1", [FILES])
    other = digest_of(b"other")
    registry.manifests["app", other] = next(iter(registry.manifests.values()))
    with pytest.raises(RegistryFault, match=other):
        pull(registry, store, f"app@{other}")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"{}", b'{"schemaVersion":1}', b"[" * 100_000, b'{"layers":7,"config":null}', b"\xff"]
)
def test_what_is_no_manifest(store: Store, raw: bytes) -> None:
    registry = MemoryRegistry()
    registry.manifests["app", digest_of(raw)] = ("text/plain", raw)
    registry.tags["app", "1"] = digest_of(raw)
    with pytest.raises(BuildFault):
        pull(registry, store)


def test_a_huge_manifest(store: Store) -> None:
    registry = MemoryRegistry()
    raw = b'{"x":"' + b"x" * (5 << 20) + b'"}'
    registry.manifests["app", digest_of(raw)] = ("application/vnd.oci.image.manifest.v1+json", raw)
    registry.tags["app", "1"] = digest_of(raw)
    with pytest.raises(TransportFault, match="larger than"):
        pull(registry, store)


class Mirrors(MemoryRegistry):
    """Gives an index that has itself in it, under whatever digest is asked for."""

    def manifest(self, exchange: Exchange, name: str, what: str) -> None:
        raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [self.entry]}).encode()
        exchange.send(200, raw, Content_Type=INDEX_TYPE)

    entry: dict[str, object]


INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def test_an_index_that_holds_itself(store: Store) -> None:
    registry = Mirrors()
    registry.entry = {"mediaType": INDEX_TYPE, "digest": digest_of(b"me"), "size": 300}
    with pytest.raises(BuildFault):
        pull(registry, store)


def test_indexes_that_go_down_for_ever(store: Store) -> None:
    registry = MemoryRegistry()
    entry = registry.add_image("app", "", [FILES])
    for _ in range(6):
        entry = registry.add_index("app", "1", [entry])
    with pytest.raises(ImageFault, match="nested more than"):
        pull(registry, store)


def test_a_size_that_is_not_the_layers(store: Store) -> None:
    registry = MemoryRegistry()
    registry.add_image("app", "1", [FILES])
    document = json.loads(next(iter(registry.manifests.values()))[1])
    for size in (1, document["layers"][0]["size"] + 1, 1 << 60):
        changed = {**document["layers"][0], "size": size}
        registry.add_manifest("app", "1", {**document, "layers": [changed]})
        with pytest.raises(RegistryFault, match=changed["digest"]):
            pull(registry, store)
        assert layer_blobs(registry, store) == []


@pytest.mark.parametrize("name", ["../x:1", "a/../b:1", "app:../../x", "app:1/2", "a//b", "app@sha256:../x"])
def test_names_that_are_paths(store: Store, name: str) -> None:
    with pytest.raises(ImageFault, match="invalid reference"):
        pull(MemoryRegistry(), store, name)
