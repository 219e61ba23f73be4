"""A store in which many builds have left something: results, their blobs, which are holes, and some trees."""

from __future__ import annotations

import os
import time

from builder.layer.layer import Layer
from builder.oci.chain import EMPTY
from builder.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from builder.snapshot.registry import Registry
from builder.solve.result import Result
from cache import record
from cache.digest import Digest
from cache.store import Store

RESULTS = 10_000
_TREES = 5  # results to one that is unpacked
SIZE = 100 << 30  # bytes of all blobs together


def crowd(root: str, results: int = RESULTS, size: int = SIZE) -> None:
    """Put them into the store at root; each was used an hour ago."""
    store, registry = Store(root), Registry(root, lambda text: None)
    used, each = time.time() - 3600, size // results
    try:
        for number in range(results):
            name = b"crowd %d" % number
            blob, diff_id = Digest.of(name + b" blob"), Digest.of(name + b" plain")
            with open(store.blobs.path(blob), "xb") as file:
                file.truncate(each)
            layer = Layer(diff_id, Descriptor(OCI_LAYER_GZIP, blob, each))
            store.index.put_result(Digest.of(name), record.encode(Result(layer, (EMPTY,))), used, name.decode())
            if number % _TREES == 0:
                id = registry.new_id()
                os.mkdir(os.path.join(registry.folder, id))
                registry.register(str(diff_id), id)
    finally:
        registry.close()
        store.close()
