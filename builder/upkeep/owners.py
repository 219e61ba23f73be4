"""Owners: for what each blob of the store is kept: images, base images, results of steps, downloads, other forms."""

from __future__ import annotations

from collections import defaultdict

from builder.images.naming import BASE_MEMO, BASE_NAME
from builder.images.reach import reach
from builder.images.store import ImageStore
from builder.images.sweep import DIGESTS
from builder.oci.chain import EMPTY, chained
from builder.oci.descriptor import Descriptor
from builder.solve.result import Result
from cache.digest import Digest
from cache.errors import Fault
from cache.index import Filed
from cache.record import recall
from cache.store import Store

_OTHERS = {  # kinds of memos that lead to a blob, in words
    "download": "download",
    "import": "image of a named context",
    "layer-variant": "layer in another form",
    "layer-rewritten": "layer with other dates",
}


class Owners:
    """What names which blob, read once when made.

    named, untagged, bases: blob -> words for the images. results: blob -> results that name it. others: words.
    used: blob -> when a base that needs it was used. layers: diff_id -> blob. parents: blob -> those of the steps that
    its step stood on.
    """

    def __init__(self, store: Store, images: ImageStore) -> None:
        self._store = store
        self.named: dict[Digest, list[str]] = defaultdict(list)
        self.untagged: dict[Digest, list[str]] = defaultdict(list)
        self.bases: dict[Digest, list[str]] = defaultdict(list)
        self.others: dict[Digest, list[str]] = defaultdict(list)
        self.used: dict[Digest, float] = {}
        self.results: dict[Digest, list[Filed]] = defaultdict(list)
        self.layers: dict[Digest, Digest] = {}
        self.parents: dict[Digest, tuple[Digest, ...]] = {}
        self._images(images)
        self._memos()
        self._results(images)

    def _images(self, images: ImageStore) -> None:
        for image in images.list():
            words = f"image {', '.join(image.names)}" if image.names else f"untagged image {image.descriptor.digest}"
            for digest in reach(self._store.blobs, image.descriptor):
                (self.named if image.names else self.untagged)[digest].append(words)

    def _memos(self) -> None:
        index = self._store.index
        for _, value, used in index.memos_of(BASE_MEMO):
            base = recall(value, Descriptor)
            for digest in reach(self._store.blobs, base) if base is not None else ():
                name = base.annotations.get(BASE_NAME, "") if base is not None else ""
                self.bases[digest].append(f"pulled from {name}" if name else "base image")
                self.used[digest] = max(self.used.get(digest, 0), used)
        for kind, words in _OTHERS.items():
            for _, value, _used in index.memos_of(kind):
                descriptor = recall(value, Descriptor) if kind == "import" else None
                found = reach(self._store.blobs, descriptor) if descriptor is not None else _digests(value)
                for digest in found:
                    self.others[digest].append(words)

    def _results(self, images: ImageStore) -> None:
        chains: dict[Digest, list[Digest]] = defaultdict(list)  # ChainID -> blobs of the layers that may end it
        on: dict[Digest, list[Digest]] = defaultdict(list)
        for filed in self._store.index.filed():
            for digest in set(_digests(filed.record)):
                self.results[digest].append(filed)
            result = recall(filed.record, Result)
            if result is None:
                continue
            layer, blob = result.layer, result.layer.blob.digest
            self.layers.setdefault(layer.diff_id, blob)
            on[blob] += result.on
            for below in result.on or (EMPTY,):
                chains[chained(below, layer.diff_id)].append(blob)
        for chain, blob in self._image_chains(images):
            chains[chain].append(blob)
        for blob, stood_on in on.items():
            self.parents[blob] = tuple(dict.fromkeys(p for chain in stood_on for p in chains.get(chain, ())[:1]))

    def _image_chains(self, images: ImageStore) -> list[tuple[Digest, Digest]]:
        found: list[tuple[Digest, Digest]] = []
        descriptors = [image.descriptor for image in images.list()]
        memos = (value for kind in (BASE_MEMO, "import") for value in self._store.index.memos(kind))
        bases = [recall(value, Descriptor) for value in memos]
        for descriptor in (*descriptors, *(base for base in bases if base is not None)):
            try:
                members = images.members(descriptor)
            except Fault:
                continue
            for image in members:
                chain = EMPTY
                for layer in image.layers:
                    chain = chained(chain, layer.diff_id)
                    self.layers.setdefault(layer.diff_id, layer.blob.digest)
                    found.append((chain, layer.blob.digest))
        return found


def _digests(record: bytes) -> list[Digest]:
    return [Digest(found.decode()) for found in DIGESTS.findall(record)]
