"""CacheExport: one --cache-to. Layers go up in the background as steps end, records and manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from builder.errors import OutputFault
from builder.export.recompress import IndexVariants, recompress
from builder.layer.codec import Codec
from builder.layer.layer import Layer
from builder.oci.descriptor import DOCKER_INDEX, OCI_INDEX, OCI_MANIFEST, Descriptor
from builder.oci.manifest import Index, Manifest, encode
from builder.oci.reference import Reference
from builder.remotecache import records
from builder.remotecache.records import CACHE_CONFIG, MountRecord, Record, Records, Selected, is_bare
from builder.remotecache.storage import Storage
from builder.solve.lookup import Known
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest
from cache.store import Store
from cache.waiting import outcome

_AT_ONCE = 4  # layers, as BuildKit has it for S3
Origin = Callable[[Digest], Reference | None]


class CacheExport:
    """everything: layers of all steps, else of those in `chain` only. form: what layers are changed to, None for as
    they are. again(blob): whether to write a blob though it seems to be there. origin(blob): a repository that has it.
    """

    def __init__(
        self,
        storage: Storage,
        store: Store,
        everything: bool,
        form: tuple[Codec, bool] | None = None,
        index: str = "",
        again: Callable[[Digest], bool] = lambda blob: False,
        origin: Origin = lambda blob: None,
        at_once: int = _AT_ONCE,
    ) -> None:
        """form: and whether the very level is meant. index: its media type if an index is written, else ""."""
        self.storage = storage
        self._store, self._everything, self._form, self._index = store, everything, form, index
        self._again, self._origin = again, origin
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="cache")
        self._sent: dict[tuple[Digest, bool], Future[Layer]] = {}

    def offer(self, layer: Layer, in_chain: bool) -> None:
        """A step's layer is known: from now on it is on its way, if it is one of ours."""
        if (self._everything or in_chain) and not is_bare(layer):
            self._send(layer)

    def finish(
        self,
        known: Iterable[Known],
        selected: Iterable[tuple[Digest, tuple[Digest, ...]]],
        chain: frozenset[Digest],
        mounts: Mapping[str, Layer] | None = None,
        archives: BlobStore | None = None,
    ) -> Descriptor | None:
        """Send what was not offered, then what tells of it, whose descriptor it gives; None where there is nothing.

        Raises the first Fault of anything; nothing is named then.

        known: all steps, those with a bare layer too. selected: as in Lookup. chain: the steps whose layers are
        the image's. mounts: cache mounts by name; archives: where those are.
        """
        steps = tuple(known)
        wanted = [step.result.layer for step in steps if self._everything or step.vertex in chain]
        sent = [self._send(layer) for layer in wanted if not is_bare(layer)]
        layers = {layer.diff_id: layer for layer in (outcome(future) for future in sent)}
        told = make_records(steps, selected)
        if not told.results:
            return None
        for mount in (mounts or {}).values():
            assert archives is not None
            if not self.storage.has(mount.blob):
                self.storage.send(mount.blob, archives)
        named = tuple(MountRecord(name, layer.diff_id) for name, layer in (mounts or {}).items())
        told = msgspec.structs.replace(told, diff_ids=tuple(layers), mounts=named)
        return self._publish(told, (*layers.values(), *(mounts or {}).values()))

    def source(self, blob: Digest) -> Reference | None:
        """The repository that has a blob by now."""
        sent = self._sent.get((blob, self._again(blob)))
        there = sent is not None and sent.done() and sent.exception() is None and sent.result().blob.digest == blob
        return self.storage.reference if there else None

    def close(self) -> None:
        """End what is under way, or not begun."""
        if not all(future.done() for future in self._sent.values()):
            self.storage.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, layer: Layer) -> Future[Layer]:
        digest = layer.blob.digest
        wanted = (digest, self._again(digest))  # what is found to be wrong over there was there when it was looked for
        future = self._sent.get(wanted)
        if future is None or (future.done() and future.exception() is not None):
            future = self._sent[wanted] = self._pool.submit(self._sending, layer)
        return future

    def _sending(self, layer: Layer) -> Layer:
        if self._form is not None:
            codec, exact = self._form
            layer = recompress(layer, codec, self._store.blobs, IndexVariants(self._store.index), exact=exact)
        blob, blobs = layer.blob, self._store.blobs
        if self.storage.has(blob) and not self._again(blob.digest):
            return layer
        source = self._origin(blob.digest)
        if source is not None and self.storage.mount(blob, source):
            return layer
        if not blobs.obtain(blob.digest, blob.size):
            raise OutputFault(f"blob {blob.digest} of {blob.size} bytes is not in the store", "build again")
        self.storage.send(blob, blobs)
        return layer

    def _publish(self, told: Records, layers: Sequence[Layer]) -> Descriptor:
        raw = records.encode(told)
        blobs = tuple(layer.blob for layer in layers)
        config = Descriptor(CACHE_CONFIG, Digest.of(raw), len(raw))
        if self._index:
            kind, data = self._index, encode(Index((*blobs, config), media_type=self._index))
        else:
            kind, data = OCI_MANIFEST, encode(Manifest(config, blobs))
        if max(len(raw), len(data)) > DOCUMENT_LIMIT:
            raise OutputFault(f"the cache has more than the {DOCUMENT_LIMIT} bytes of records that are read back")
        if not self.storage.has(config) or self._again(config.digest):
            self.storage.put(config, raw)
        manifest = Descriptor(kind, Digest.of(data), len(data))
        self.storage.publish(manifest, data)
        return manifest


def index_type(manifest: bool, docker: bool) -> str:
    """The media type of the index that image-manifest=false asks for; "" for none."""
    return "" if manifest else DOCKER_INDEX if docker else OCI_INDEX


def make_records(known: Iterable[Known], selected: Iterable[tuple[Digest, tuple[Digest, ...]]]) -> Records:
    """In an order that depends on nothing but what is in them."""
    found = {step.key: Record(step.key, step.result.layer.diff_id, step.result.on) for step in known}
    names = dict(selected)
    return Records(
        tuple(found[key] for key in sorted(found)), tuple(Selected(name, names[name]) for name in sorted(names))
    )
