"""RemoteBases: base images from registries. Documents come when a name is resolved, layers when their bytes are read.

The seam is BlobStore.suppliers: whoever opens a layer that is not here yet waits until it is. So a build that finds all
its steps in the cache, or only looks at a config, downloads no layer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from builder.errors import SourceFault
from builder.graph.event import Event, Finished, Started, Transfer
from builder.images.image import Image, parse
from builder.images.naming import BASE_MEMO, BASE_NAME, BASE_TOP
from builder.images.origin import origin_of
from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import read_manifest
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault
from cache.store import Store

if TYPE_CHECKING:
    from builder.source.attested import Attested
    from builder.source.fetch import Fetch
    from builder.source.pulled import Pulled

_STEP = 1 << 20  # bytes between two reports


class RemoteBases:
    """Safe for many threads. always: whether names are asked for anew though they are known (--pull)."""

    def __init__(
        self,
        store: Store,
        connect: Callable[[], Pulled],
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        always: bool = False,
    ) -> None:
        """connect: called when the first request is to be made."""
        self._store, self._connect, self._emit, self._clock, self.always = store, connect, emit, clock, always
        self._pulled: Pulled | None = None
        self._lock = threading.Lock()
        self._sources: dict[Digest, tuple[Reference, tuple[Layer, ...]]] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._fetches: dict[Digest, Fetch] = {}
        self._attested: dict[Reference, Attested] = {}
        store.blobs.suppliers.append(self._supply)

    def resolve(self, reference: Reference, platform: Platform) -> Image:
        """The image as it was found last time, else as its registry has it. Raises RegistryFault, TransportFault."""
        name = record.digest((str(reference), str(platform)))
        known = None if self.always else record.recall(self._store.index.memo(BASE_MEMO, name), Descriptor)
        image = self._known(known) if known is not None else None
        if image is None:
            image = self._note(reference, platform)[1]
        else:
            self._store.index.touch_memo(BASE_MEMO, name, time.time())
        for layer in image.layers:
            self._sources[layer.blob.digest] = (reference, image.layers)
        return image

    def top(self, reference: Reference, platform: Platform, image: Image) -> Digest:
        """The digest that the name of an image stood for when it was resolved: of an index, or of its manifest.

        Raises SourceFault where nobody knows any more, and the registry has another image by now.
        """
        name = record.digest((str(reference), str(platform)))
        known = record.recall(self._store.index.memo(BASE_MEMO, name), Descriptor)
        if known is not None and known.digest == image.descriptor.digest and BASE_TOP in known.annotations:
            return Digest.parse(known.annotations[BASE_TOP])
        top, now = self._note(reference, platform)
        if now.descriptor.digest != image.descriptor.digest:
            raise SourceFault(f"{reference}: the registry has another image by now", "build again")
        return top

    def attested(self, reference: Reference) -> Attested:
        """What a registry has beside an image, which is named by its digest. No request is made yet."""
        pulled = self._connected()
        with self._lock:
            if reference not in self._attested:
                self._attested[reference] = pulled.attested(reference)
            return self._attested[reference]

    def complete(self, layers: tuple[Layer, ...]) -> None:
        """See to it that those of the layers that are still elsewhere are here."""
        for layer in layers:
            if layer.blob.digest in self._sources:
                self._store.blobs.obtain(layer.blob.digest, layer.blob.size)

    def source(self, blob: Digest) -> Reference | None:
        """Whose image a layer is of."""
        found = self._sources.get(blob)
        return found[0] if found is not None else None

    def cancel(self) -> None:
        """Downloads that are under way fail with Canceled."""
        if self._pulled is not None:
            self._pulled.cancel()

    def close(self) -> None:
        """End what is still under way: nobody needed it."""
        fetches = set(self._fetches.values())
        if any(not fetch.ended for fetch in fetches):
            self.cancel()
        for fetch in fetches:
            fetch.close()

    def _note(self, reference: Reference, platform: Platform) -> tuple[Digest, Image]:
        """What the registry says now, which is remembered."""
        name = record.digest((str(reference), str(platform)))
        top, image = self._ask(reference, platform)
        noted = replace(image.descriptor, annotations={BASE_NAME: str(reference), BASE_TOP: str(top)})
        self._store.index.put_memo(BASE_MEMO, name, record.encode(noted), time.time())
        return top, image

    def _ask(self, reference: Reference, platform: Platform) -> tuple[Digest, Image]:
        what = f"[internal] load metadata for {reference}"
        vertex = Digest.of(what.encode())
        self._emit(Started(vertex, what, self._clock()))
        top, image = self._connected().locate(reference, platform)
        self._emit(Finished(vertex, self._clock()))
        return top.digest, image

    def _known(self, descriptor: Descriptor) -> Image | None:
        blobs = self._store.blobs
        try:
            raw = blobs.read(descriptor.digest)
            return parse(raw, blobs.read(read_manifest(raw).config.digest), replace(descriptor, annotations={}))
        except CacheFault:
            return None

    def _connected(self) -> Pulled:
        with self._lock:
            if self._pulled is None:
                self._pulled = self._connect()
            return self._pulled

    def _supply(self, digest: Digest) -> bool:
        """Fetch what is missing of the image that a blob is a layer of: who reads one of them reads the others.

        Only that one is waited for: it can be unpacked while the others come.
        """
        found = self._sources.get(digest)
        if found is None:  # of an image of the local store, which may have been pulled
            origin = origin_of(self._store.index, digest)
            if origin is None:
                return False
            found = (origin.reference, (origin.layer,))
        reference, layers = found
        with self._lock:
            lock = self._fetching.setdefault(str(reference), threading.Lock())
        with lock:
            fetch = self._fetches.get(digest)
            layer = next(layer for layer in layers if layer.blob.digest == digest)
            if not self._has(layer) and (fetch is None or fetch.ended):
                fetch = self._begin(reference, [layer for layer in layers if not self._has(layer)])
        if fetch is not None:
            fetch.wait(digest)
        return True

    def _has(self, layer: Layer) -> bool:
        return self._store.blobs.has(layer.blob.digest, layer.blob.size)

    def _begin(self, reference: Reference, layers: list[Layer]) -> Fetch:
        what = f"[internal] pull {reference}"
        vertex = Digest.of(what.encode())
        told: dict[Digest, int] = {}

        def moved(layer: Layer, word: str, count: int) -> None:
            blob = layer.blob
            last = told.get(blob.digest, -_STEP)
            if word == "Downloading" and (count - last >= _STEP or last < count == blob.size):
                told[blob.digest] = count
                self._emit(Transfer(vertex, str(blob.digest), count, blob.size, self._clock()))

        self._emit(Started(vertex, what, self._clock()))
        done = lambda: self._emit(Finished(vertex, self._clock()))  # noqa: E731
        fetch = self._connected().begin(reference, layers, moved, done)
        self._fetches |= {layer.blob.digest: fetch for layer in layers}
        return fetch
