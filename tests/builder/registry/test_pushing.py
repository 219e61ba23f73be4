"""Pushing: what is there is skipped, neighbours' blobs are mounted, what breaks off is carried on, names come last."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import OutputFault, RegistryFault
from builder.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from builder.oci.manifest import Index, Manifest, encode
from builder.oci.reference import Reference
from builder.registry import pushing, upload
from builder.registry.credentials import Credentials
from builder.registry.pushing import push
from builder.registry.registries import Registries
from builder.registry.registriesconf import RegistriesConf
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.digest import Digest
from cache.store import Store
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path))
    yield made
    made.close()


def put(store: Store, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type, *store.blobs.put(data))


def image(store: Store, *layers: bytes) -> Descriptor:
    config = put(store, OCI_CONFIG, b'{"x":"%d"}' % len(layers))
    manifest = Manifest(config, tuple(put(store, OCI_LAYER, layer) for layer in layers))
    return put(store, OCI_MANIFEST, encode(manifest))


def send(registry: MemoryRegistry, store: Store, what: Descriptor, origin: str = "") -> list[str]:
    words: list[str] = []
    transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=2))
    with running(registry) as host:
        registries = Registries(transport, RegistriesConf(), Credentials("/nonexistent"), lambda: 0.0)
        source = Reference.parse(f"{host}/{origin}") if origin else None
        push(
            what,
            Reference.parse(f"{host}/app:1"),
            store.blobs,
            registries,
            lambda layer, word: words.append(word),
            lambda digest: source,
        )
    transport.close()
    return words


def sent(registry: MemoryRegistry, method: str) -> list[str]:
    return [seen.path.partition("?")[0] for seen in registry.server.seen if seen.method == method]


def test_an_image_and_the_same_again(store: Store) -> None:
    registry = MemoryRegistry()
    what = image(store, b"one", b"two")
    assert sorted(send(registry, store, what)) == ["Preparing", "Preparing", "Pushed", "Pushed"]
    assert registry.tags["app", "1"] == str(what.digest)
    assert registry.manifests["app", str(what.digest)] == (OCI_MANIFEST, store.blobs.read(what.digest))
    assert sent(registry, "PUT")[-1] == "/v2/app/manifests/1"
    assert sorted(send(registry, store, what))[:2] == ["Layer already exists"] * 2
    assert sent(registry, "POST") == []


def test_a_neighbours_blob_is_mounted(store: Store) -> None:
    registry = MemoryRegistry()
    registry.add_blob("base", b"one")
    what = image(store, b"one")
    assert send(registry, store, what, origin="base:1")[-1] == "Mounted from base"
    assert send(MemoryRegistry(), store, what, origin="base:1")[-1] == "Pushed"


def test_an_index_has_its_images_first(store: Store) -> None:
    registry = MemoryRegistry()
    entries = (image(store, b"a"), image(store, b"b", b"c"))
    what = put(store, OCI_INDEX, encode(Index(entries)))
    send(registry, store, what)
    manifests = [path for path in sent(registry, "PUT") if "/manifests/" in path]
    assert manifests == [f"/v2/app/manifests/{name}" for name in (entries[0].digest, entries[1].digest, "1")]


def test_an_index_that_is_not_whole_is_not_pushed(store: Store) -> None:
    what = put(store, OCI_INDEX, encode(Index((Descriptor(OCI_MANIFEST, Digest("0" * 64), 3),))))
    registry = MemoryRegistry()
    with pytest.raises(OutputFault, match="not in the local store"):
        send(registry, store, what)
    assert registry.manifests == {}


class Breaking(MemoryRegistry):
    """Takes half of the second chunk, and then ends the connection."""

    broken = False

    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        if exchange.command == "PATCH" and self.uploads[session] and not self.broken:
            self.broken = True
            self.uploads[session] += exchange.seen.body[: len(exchange.seen.body) // 2]
            exchange.cut()
            return
        super().upload(exchange, name, session, query)


def test_chunks_are_carried_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK", 10_000)
    registry = Breaking()
    data = os.urandom(35_000)
    assert send(registry, store, image(store, data))[-1] == "Pushed"
    assert registry.broken and registry.blobs["app", str(Digest.of(data))] == data


class Forgetful(MemoryRegistry):
    """Answers the third request of an upload with `status`, or ends the connection, and forgets what it had."""

    status = 0
    left = 3

    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        if exchange.command in ("PATCH", "PUT"):
            self.left -= 1
            if not self.left:
                del self.uploads[session]
                exchange.send(self.status, b"") if self.status else exchange.cut()
                return
        if session and session not in self.uploads:
            exchange.send(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
            return
        super().upload(exchange, name, session, query)


@pytest.mark.parametrize("status", [0, 404, 416, 500, 503])
@pytest.mark.parametrize("size", [35_000, 20_000])  # the third request is a PATCH, or the PUT
def test_an_upload_that_is_lost_begins_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch, status: int, size: int
) -> None:
    monkeypatch.setattr(upload, "CHUNK", 10_000)
    registry = Forgetful()
    registry.status = status
    data = os.urandom(size)
    assert send(registry, store, image(store, data))[-1] == "Pushed"
    assert registry.blobs["app", str(Digest.of(data))] == data
    assert sent(registry, "POST") == ["/v2/app/blobs/uploads/"] * 3  # the second for the layer, one for the config
    assert sent(registry, "DELETE") == ["/v2/app/blobs/uploads/0"]


class Deaf(MemoryRegistry):
    """Takes a blob, and does not say so."""

    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        if exchange.command == "PUT" and len(exchange.seen.body) > 1000:
            self.add_blob(name, exchange.seen.body)
            exchange.cut()
        else:
            super().upload(exchange, name, session, query)


def test_a_blob_whose_arrival_was_not_told_is_not_sent_again(store: Store) -> None:
    registry = Deaf()
    assert send(registry, store, image(store, os.urandom(9999)))[-1] == "Pushed"
    assert len(sent(registry, "POST")) == 2


class LargeParts(MemoryRegistry):
    """Wants parts of 20,000 bytes at least."""

    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        if exchange.command == "POST":
            self.uploads["x"] = b""
            exchange.send(202, Location=f"/v2/{name}/blobs/uploads/x?a=b", OCI_Chunk_Min_Length="20000")
        else:
            super().upload(exchange, name, session, query)


def test_parts_are_as_large_as_the_registry_wants(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK", 10_000)
    registry = LargeParts()
    send(registry, store, image(store, os.urandom(45_000)))
    parts = [seen for seen in registry.server.seen if seen.method == "PATCH"]
    assert [seen.headers["content-range"] for seen in parts] == ["0-19999", "20000-39999", "40000-44999"]
    assert [len(seen.body) for seen in parts] == [20_000, 20_000, 5000]
    assert next(seen.body for seen in registry.server.seen if seen.method == "PUT") == b""


class Busy(MemoryRegistry):
    """Is overloaded at every second request."""

    def answer(self, exchange: Exchange) -> None:
        if len(self.server.seen) % 2:
            exchange.send(503 if len(self.server.seen) % 4 == 1 else 429, Retry_After="0")
        else:
            super().answer(exchange)


def test_a_busy_registry_is_asked_again(store: Store) -> None:
    registry = Busy()
    what = image(store, os.urandom(9999))
    assert send(registry, store, what)[-1] == "Pushed"
    assert registry.tags["app", "1"] == str(what.digest)


class Refusing(MemoryRegistry):
    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        exchange.send(400, b'{"errors":[{"code":"DENIED","message":"quota\\u001b[2J exceeded"}]}')


def test_what_a_registry_says_is_told_without_control_characters(store: Store) -> None:
    with pytest.raises(RegistryFault, match=r"cannot push blob sha256:.*: DENIED: quota\?\[2J exceeded"):
        send(Refusing(), store, image(store, b"one"))


class Renaming(MemoryRegistry):
    def manifest(self, exchange: Exchange, name: str, what: str) -> None:
        exchange.send(201, Docker_Content_Digest=f"sha256:{'0' * 64}")


def test_a_registry_that_names_a_manifest_otherwise(store: Store) -> None:
    with pytest.raises(RegistryFault, match="the registry calls manifest"):
        send(Renaming(), store, image(store, b"one"))


def test_a_layer_that_is_gone(store: Store) -> None:
    what = image(store, b"one")
    store.blobs.delete(Digest.of(b"one"))
    registry = MemoryRegistry()
    with pytest.raises(OutputFault, match="not in the store"):
        send(registry, store, what)
    assert registry.manifests == {}


class Slow(MemoryRegistry):
    """Says nothing to a layer that has come until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.came, self.go, self.went = threading.Event(), threading.Event(), False

    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        if exchange.command == "PUT":
            self.came.set()
            self.go.wait(15)
            self.went = True
        super().upload(exchange, name, session, query)


@pytest.mark.timeout(60)
def test_an_interrupt_ends_what_is_under_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Slow()

    def interrupted(future: object) -> None:
        assert registry.came.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(pushing, "outcome", interrupted)
    with running(registry) as host:
        transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=2))
        registries = Registries(transport, RegistriesConf(), Credentials("/nonexistent"), lambda: 0.0)
        what, name = image(store, b"layer"), Reference.parse(f"{host}/app:1")
        with pytest.raises(KeyboardInterrupt):
            push(what, name, store.blobs, registries, lambda layer, word: None, lambda digest: None)
        ended_before = not registry.went
        registry.go.set()
        transport.close()
    assert ended_before
