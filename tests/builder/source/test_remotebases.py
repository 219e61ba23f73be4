"""Base images from a registry: documents at once, layers when they are read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import SourceFault
from builder.graph.event import Event, Transfer
from builder.images.store import ImageStore
from builder.images.sweep import sweep
from builder.layer.layer import Layer
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.registry.credentials import Credentials
from builder.registry.registries import Registries
from builder.registry.registriesconf import RegistriesConf
from builder.source.base import BaseImages
from builder.source.pulled import Pulled
from builder.source.remotebases import RemoteBases
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.errors import CacheFault
from cache.store import Store
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange

AMD64 = Platform(architecture="amd64", os="linux")


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    made = MemoryRegistry()
    made.add_image("app", "1", [{"a": b"1" * 9999}, {"b": b"2"}])
    with running(made):
        yield made


class Bases:
    def __init__(self, folder: Path, always: bool = False) -> None:
        self.store = Store(str(folder))
        self.images = ImageStore(self.store.root, self.store.blobs)
        self.events: list[Event] = []
        self.connections = 0
        self.remote = RemoteBases(self.store, self.connect, self.events.append, lambda: 0.0, always)
        self.bases = BaseImages(self.store, self.images, {}, self.remote)

    def connect(self) -> Pulled:
        self.connections += 1
        transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=1))
        registries = Registries(transport, RegistriesConf(), Credentials("/nonexistent"), lambda: 0.0)
        return Pulled(registries, self.store.blobs)


def asked_for(registry: MemoryRegistry, what: str) -> int:
    return sum(what in seen.path for seen in registry.server.seen)


def test_layers_come_when_they_are_read(registry: MemoryRegistry, tmp_path: Path) -> None:
    made = Bases(tmp_path)
    image = made.remote.resolve(Reference.parse(f"{registry.server.host}/app:1"), AMD64)
    first, second = (layer.blob for layer in image.layers)
    assert not made.store.blobs.has(first.digest) and asked_for(registry, first.digest.hex) == 0
    with made.store.blobs.open(second.digest) as reader:
        reader.finish()
    made.remote.complete(image.layers)  # the others are on their way, and come once
    assert made.store.blobs.has(first.digest) and asked_for(registry, first.digest.hex) == 1
    made.remote.close()
    assert {e.current for e in made.events if isinstance(e, Transfer)} >= {first.size, second.size}


def test_a_known_name_needs_no_network(registry: MemoryRegistry, tmp_path: Path) -> None:
    name = f"{registry.server.host}/app:1"
    manifest = Bases(tmp_path).bases.resolve(name, AMD64).manifest
    again = Bases(tmp_path)
    assert again.bases.resolve(name, AMD64).manifest == manifest
    assert again.connections == 0
    registry.add_image("app", "1", [{"new": b""}])
    assert Bases(tmp_path).bases.resolve(name, AMD64).manifest == manifest
    assert Bases(tmp_path, always=True).bases.resolve(name, AMD64).manifest != manifest
    assert Bases(tmp_path).bases.resolve(name, AMD64).manifest != manifest


def test_a_sweep_keeps_bases_and_what_it_takes_is_asked_for_again(registry: MemoryRegistry, tmp_path: Path) -> None:
    name = f"{registry.server.host}/app:1"
    made = Bases(tmp_path)
    resolved = made.bases.resolve(name, AMD64)
    assert sweep(made.store, made.images) == (0, 0)
    made.store.index.forget_memos(["base"])
    assert sweep(made.store, made.images)[0] == 2
    assert Bases(tmp_path).bases.resolve(name, AMD64).manifest == resolved.manifest


def test_what_is_nowhere(registry: MemoryRegistry, tmp_path: Path) -> None:
    made = Bases(tmp_path)
    name = f"{registry.server.host}/none:1"
    with pytest.raises(SourceFault, match=f"failed to resolve source metadata for {name}: {name}: not found"):
        made.bases.resolve(name, AMD64)


def test_a_registry_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(SourceFault, match="not found in the local store, and its registry cannot be asked"):
        Bases(tmp_path).bases.resolve("127.0.0.1:1/app:1", AMD64)


def test_a_blob_of_no_base_is_not_supplied(tmp_path: Path) -> None:
    made = Bases(tmp_path)
    digest, size = made.store.blobs.put(b"x")
    made.store.blobs.delete(digest)
    assert not made.store.blobs.obtain(digest, size)
    with pytest.raises(CacheFault, match="not in the store"):
        made.store.blobs.open(digest)
    assert made.connections == 0


class Slow(MemoryRegistry):
    """Sends the second layer only once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.held = ""

    def blob(self, exchange: Exchange, name: str, digest: str) -> None:
        if digest == self.held:
            self.go.wait(20)
        super().blob(exchange, name, digest)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Slow, Bases, tuple[Layer, ...]]]:
    made = Slow()
    made.add_image("app", "1", [{"a": b"1" * 9999}, {"b": b"2"}])
    with running(made) as host:
        bases = Bases(tmp_path / "slow")
        image = bases.remote.resolve(Reference.parse(f"{host}/app:1"), AMD64)
        made.held = str(image.layers[1].blob.digest)
        yield made, bases, image.layers
        made.go.set()
        bases.remote.close()


def test_a_layer_is_read_while_others_come(slow: tuple[Slow, Bases, tuple[Layer, ...]]) -> None:
    registry, made, layers = slow
    first, second = (layer.blob for layer in layers)
    assert made.store.blobs.obtain(first.digest, first.size) and not made.store.blobs.has(second.digest)
    registry.go.set()
    assert made.store.blobs.obtain(second.digest, second.size)
    assert asked_for(registry, first.digest.hex) == asked_for(registry, second.digest.hex) == 1


def test_what_nobody_waits_for_is_ended(slow: tuple[Slow, Bases, tuple[Layer, ...]]) -> None:
    registry, made, layers = slow
    first, second = (layer.blob for layer in layers)
    assert made.store.blobs.obtain(first.digest, first.size)
    made.remote.close()
    assert not made.store.blobs.has(second.digest) and not registry.go.is_set()
    assert os.listdir(made.store.path("tmp")) == []


def test_a_digest_is_that_of_the_image_that_is_used(registry: MemoryRegistry, tmp_path: Path) -> None:
    name = f"{registry.server.host}/app:1"
    reference, first = Reference.parse(name), registry.tags["app", "1"]
    made = Bases(tmp_path)
    image = made.remote.resolve(reference, AMD64)
    registry.add_image("app", "1", [{"a": b"other"}])
    assert str(made.remote.top(reference, AMD64, image)) == first
    Bases(tmp_path, always=True).remote.resolve(reference, AMD64)  # another build, to which it is something else
    with pytest.raises(SourceFault, match="the registry has another image by now"):
        made.remote.top(reference, AMD64, image)
    assert made.bases.facts(name, AMD64).digest == registry.tags["app", "1"]
