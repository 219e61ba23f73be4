"""Base images from a registry: documents at once, layers when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import SourceFault
from builder.graph.event import Event, Transfer
from builder.images.store import ImageStore
from builder.images.sweep import sweep
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
    assert made.store.blobs.has(first.digest)
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
