"""Deleting what the store keeps, by the rules of `cache.leases`: nothing that a running command uses is touched.

Order, so that a crash at any line leaves a state that the next command understands: first the rows and names that speak
of bytes, then the bytes; folders get another name in `tmp/` before they are taken apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from builder.images.naming import BASE_MEMO
from builder.images.origin import ORIGIN_MEMO
from builder.images.reach import reach
from builder.images.store import ImageStore
from builder.images.sweep import DIGESTS, batches
from builder.oci.descriptor import Descriptor
from builder.snapshot.registry import Registry
from builder.solve.cachefolders import Cache, CacheFolders
from builder.solve.cachemounts import remove_tree
from builder.source import gitrepository
from builder.upkeep.measured import KIND
from cache import record
from cache.digest import Digest
from cache.store import Store
from cache.wholefile import temp_name

_MEMOS = ("parse", "selection", "image-facts", "layer-files", "download", "import", "layer-variant", "layer-rewritten")


class Evict:
    """kinds of `Usage` -> how they are deleted, in batches in the order given.

    Not to be used while this process uses the store.
    """

    def __init__(self, store: Store, images: ImageStore, registry: Registry) -> None:
        self._store, self._images, self._registry = store, images, registry
        self._caches = CacheFolders(store.path("caches"), store.path("tmp"))

    def delete(self, kind: str, names: Iterable[str]) -> set[str]:
        """Delete things of one kind; gives the names of those that went."""
        if kind == "blob":
            return {digest.hex for digest in self._blobs([Digest(name) for name in names])}
        if kind == "tree":
            known = {row.id: row for row in self._registry.registered()}
            rows = [known[name] for name in names if name in known]
            return {row.id for batch in batches(rows, self._store.root) for row in self._registry.evict(batch)}
        if kind == "memos":
            self._store.index.forget_memos((*_MEMOS, KIND))
            self._store.index.shrink()
            return set(names)
        one = {"mounts": self._mounts, "git": self._git, "stats": self._stats, "traces": self._traces}[kind]
        return {name for name in names if one(name)}

    def _blobs(self, digests: list[Digest]) -> set[Digest]:
        """Results and base images that name them go, too, and images that have no name; what a named image needs stays.

        Gives those of which the results are gone.
        """
        gone: set[Digest] = set()
        for batch in batches(digests, self._store.root):
            with self._store.alone(batch) as mine:
                gone |= mine
                self._forget(mine)
                named, listed = set[Digest](), set[Digest]()
                for image in self._images.list():
                    parts = set(reach(self._store.blobs, image.descriptor))
                    if image.names:
                        named |= parts
                    elif parts & mine:
                        listed.add(image.descriptor.digest)
                self._images.forget(listed)
                for digest in sorted(mine - named):
                    self._store.blobs.delete(digest)
                self._store.index.delete_memos(ORIGIN_MEMO, mine - named)
        return gone

    def _forget(self, blobs: set[Digest]) -> None:
        index = self._store.index
        texts = {blob.hex.encode() for blob in blobs}
        index.delete_results(key for key, value in index.results() if texts & set(DIGESTS.findall(value)))
        index.delete_memos(BASE_MEMO, [key for key, value, _ in index.memos_of(BASE_MEMO) if self._leads(value, blobs)])

    def _leads(self, memo: bytes, blobs: set[Digest]) -> bool:
        base = record.recall(memo, Descriptor)
        return base is None or not blobs.isdisjoint(reach(self._store.blobs, base))

    def _mounts(self, name: str) -> bool:
        return self._caches.remove(Cache(name, None, ""))

    def _git(self, name: str) -> bool:
        path = self._store.path("git", name)
        with self._store.alone([gitrepository.lease(name)]) as mine:
            if mine:
                self._take_apart(path)
                with suppress(FileNotFoundError):
                    os.unlink(f"{path}.lock")
            return bool(mine)

    def _stats(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            os.unlink(self._store.path("stats", name))
        return True

    def _traces(self, name: str) -> bool:
        self._take_apart(self._store.path("traces", name))
        return True

    def _take_apart(self, path: str) -> None:
        temp = temp_name(self._store.path("tmp", "gone-"))
        with suppress(FileNotFoundError):
            os.rename(path, temp)
            remove_tree(temp)
