from __future__ import annotations

import pytest

from builder.images.store import ImageStore
from builder.layer.layer import Layer
from builder.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from builder.snapshot.registry import Registry
from builder.solve import result
from cache.digest import Digest


@pytest.fixture
def images(store):
    return ImageStore(store.root, store.blobs)


@pytest.fixture
def registry(store):
    made = Registry(store.root, lambda text: None)
    yield made
    made.close()


@pytest.fixture
def step(store):
    """step(name, used, size, on): files a result with a layer of its own; gives the blob."""

    def make(name, used=0.0, size=100_000, on=()):
        data = name.encode() * (size // len(name))
        digest, length = store.blobs.put(data)
        layer = Layer(Digest.of(b"plain" + name.encode()), Descriptor(OCI_LAYER_GZIP, digest, length))
        result.file(store, Digest.of(name.encode()), result.Result(layer, on), used, name)
        return digest

    return make
