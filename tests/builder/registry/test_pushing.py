"""Pushing: what is there is skipped, neighbours' blobs are mounted, what breaks off is carried on, names come last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import OutputFault, RegistryFault
from builder.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from builder.oci.manifest import Index, Manifest, encode
from builder.oci.reference import Reference
from builder.registry import upload
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
