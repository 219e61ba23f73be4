"""A real registry behind a wire that breaks: at each tenth of what is sent and of what comes, again and again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.oci.descriptor import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from builder.oci.manifest import Manifest, encode
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.registry import upload
from builder.registry.credentials import Credentials
from builder.registry.pushing import push
from builder.registry.registries import Registries
from builder.registry.registriesconf import RegistriesConf
from builder.source.pulled import Pulled
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.digest import Digest
from cache.store import Store
from tests.e2e.dockerregistry import DockerRegistry, docker_registry
from tests.relay import Relay, relaying

pytestmark = pytest.mark.e2e

SIZE = 1 << 20
AMD64 = Platform(architecture="amd64", os="linux")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


@pytest.fixture
def relay(registry: DockerRegistry) -> Iterator[Relay]:
    with relaying(registry.host) as one:
        yield one


def registries() -> Registries:
    transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=6))
    return Registries(transport, RegistriesConf(), Credentials("/nonexistent"), lambda: 0.0)


def image(store: Store, layer: bytes) -> Descriptor:
    """One layer, which is uncompressed, and not looked into here."""
    names = {"type": "layers", "diff_ids": [str(Digest.of(layer))]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": names}).encode()
    manifest = Manifest(put(store, OCI_CONFIG, config), (put(store, OCI_LAYER, layer),))
    return put(store, OCI_MANIFEST, encode(manifest))


def put(store: Store, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type, *store.blobs.put(data))


@pytest.mark.parametrize("chunk", [SIZE * 2, SIZE // 4])
@pytest.mark.parametrize("tenth", range(10))
def test_a_push_that_is_cut(
    relay: Relay, registry: DockerRegistry, tmp_path: Path, chunk: int, tenth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "CHUNK", chunk)
    store = Store(str(tmp_path))
    layer = os.urandom(SIZE)
    what = image(store, layer)
    cut = 1500 + SIZE * tenth // 10
    relay.up += [cut, cut + SIZE // 3, cut + SIZE]
    name = f"cut/push{tenth}-{chunk}"
    push(what, Reference.parse(f"{relay.host}/{name}:1"), store.blobs, registries(), lambda layer, word: None)
    assert len(relay.up) < 3
    client = registries().client(registries().destination(Reference.parse(f"{registry.host}/{name}")).place)
    assert client.manifest("1").descriptor.digest == what.digest
    with client.blob(Digest.of(layer)) as response:
        assert response.read(SIZE + 1) == layer
    store.close()


@pytest.mark.parametrize("tenth", range(10))
def test_a_pull_that_is_cut(relay: Relay, registry: DockerRegistry, tmp_path: Path, tenth: int) -> None:
    """Thrice, which costs no byte twice; and from then on always, which leaves nothing."""
    store, other = Store(str(tmp_path / "one")), Store(str(tmp_path / "two"))
    what = image(other, os.urandom(SIZE))
    name = f"cut/pull{tenth}:1"
    push(what, Reference.parse(f"{registry.host}/{name}"), other.blobs, registries(), lambda layer, word: None)
    reference = Reference.parse(f"{relay.host}/{name}")
    pulled = Pulled(registries(), store.blobs)
    _, found = pulled.locate(reference, AMD64)
    cut = 700 + SIZE * tenth // 10
    relay.down += [relay.came + cut, relay.came + cut + SIZE // 3]
    again = Pulled(registries(), store.blobs)  # with connections of its own
    again.fetch(reference, found.layers, lambda layer, word, count: None)
    assert len(relay.down) < 2 and store.blobs.has(found.layers[0].blob.digest, SIZE)
    store.close()
    other.close()
