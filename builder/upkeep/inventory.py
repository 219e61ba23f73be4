"""Inventory: all that takes disk below a store's root, each block once: what it is and for what it is kept.

The sum of all sizes is what du(1) says of the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from builder.images.reach import reach
from builder.images.store import ImageStore
from builder.snapshot.registry import Registry
from builder.upkeep.blocks import Blocks
from builder.upkeep.keptblobs import kept_blobs
from builder.upkeep.keptfolders import SETTLED, kept_caches, kept_repositories, kept_trees
from builder.upkeep.measured import Measured
from builder.upkeep.owners import Owners
from builder.upkeep.usage import LOCAL, SHOWN, Usage
from cache.filelock import is_locked
from cache.store import Store

_DATABASES = {"index.db": "results of steps, and what can be found out again", "snapshots.db": "which tree is which"}
_OWN = {
    "oci-layout": "says that the store is an OCI image layout",
    "index.json": "the names of images",
    "index.backup.json": "copy of the names of images",
    "ballast": "given up when the disk is full, so that something can be deleted",
    "leases": "locks of what running commands use",
    "index.lock": "lock",
    "running": "locks of steps that are performed",
}
_PLACES = ("blobs", "snapshots", "caches", "git", "stats", "traces", "tmp")


class Inventory:
    """quick: whether the size of a folder is taken from an earlier walk, if it has not been used since."""

    def __init__(self, store: Store, images: ImageStore, registry: Registry, *, quick: bool = False) -> None:
        self._store, self._images, self._registry = store, images, registry
        self._blocks = Blocks()
        self._measured = Measured(store, self._blocks, quick)

    def private(self) -> int:
        """Bytes of all that no image with a name needs; quicker, since nothing else is found out about it."""
        store, folder = self._store, self._registry.folder
        shared = {part for image in self._images.list() if image.names for part in reach(store.blobs, image.descriptor)}
        sizes = [self._blocks.of(store.blobs.path(blob)) for blob in store.blobs.digests() if blob not in shared]
        sizes += [
            self._measured.of(f"snapshots/{row.id}", os.path.join(folder, row.id), SETTLED)
            for row in self._registry.registered()
        ]
        for place, counted in (("caches", kept_caches), ("git", kept_repositories)):
            if os.path.isdir(store.path(place)):
                sizes += [usage.size for usage in counted(store, self._blocks, self._measured)]
        rest = set(os.listdir(store.root)) - {"blobs", "snapshots", "caches", "git"}
        self._measured.save()
        return sum(sizes) + sum(self._blocks.of(store.path(name)) for name in rest)

    def all(self) -> list[Usage]:
        """Everything, in an order that follows from what is there."""
        root = self._store.root
        names = sorted(os.listdir(root))
        places = [name for name in _PLACES if os.path.isdir(self._store.path(name))]
        owners = Owners(self._store, self._images)
        found = [usage for place in places for usage in self._inside(place, owners)]
        found += [self._database(name) for name in _DATABASES]
        found += [
            self._plain(name, _OWN.get(name) or _described(name))
            for name in names
            if name not in places and not name.startswith(tuple(_DATABASES))
        ]
        folders = (root, *map(self._store.path, places))
        own = sum(self._blocks.own(os.stat(path)) for path in folders)
        found.append(Usage(id="folders", size=own, description="the store's folders themselves"))
        self._measured.save()
        return found

    def _inside(self, place: str, owners: Owners) -> Iterator[Usage]:
        store, blocks, measured = self._store, self._blocks, self._measured
        if place == "blobs":
            return kept_blobs(store, owners, blocks)
        if place == "snapshots":
            return kept_trees(owners, self._registry, blocks, measured)
        if place == "caches":
            return kept_caches(store, blocks, measured)
        if place == "git":
            return kept_repositories(store, blocks, measured)
        if place == "traces":
            return self._traces()
        return self._stats() if place == "stats" else self._tmp()

    def _plain(self, name: str, description: str) -> Usage:
        return Usage(id=name, size=self._blocks.of(self._store.path(name)), description=description)

    def _database(self, name: str) -> Usage:
        size = database_size(self._store, name, self._blocks)
        return Usage(id=name, kind="memos" if name == "index.db" else "", size=size, description=_DATABASES[name])

    def _stats(self) -> Iterator[Usage]:
        for name in sorted(os.listdir(self._store.path("stats"))):
            try:
                status = os.stat(self._store.path("stats", name))
            except FileNotFoundError:
                continue
            yield Usage(
                id=name[:SHOWN],
                kind="stats",
                name=name,
                size=self._blocks.of(self._store.path("stats", name)),
                created=status.st_ctime,
                used=max(status.st_atime, status.st_mtime),
                description="local source: what the files of a context hashed to",
                type=LOCAL,
            )

    def _traces(self) -> Iterator[Usage]:
        for name in sorted(os.listdir(self._store.path("traces"))):
            path = self._store.path("traces", name)
            try:
                created = os.stat(path).st_ctime
                used = max((entry.stat().st_mtime for entry in os.scandir(path)), default=created)
            except FileNotFoundError:
                continue
            yield Usage(
                id=name[:SHOWN],
                kind="traces",
                name=name,
                size=self._blocks.of(path),
                created=created,
                used=used,
                description="what builds of one Dockerfile were made of, to explain the next",
            )

    def _tmp(self) -> Iterator[Usage]:
        for name in sorted(os.listdir(self._store.path("tmp"))):
            used = is_locked(self._store.path("tmp", name))
            usage = self._plain(f"tmp/{name}", "being written" if used else "left by a killed command")
            yield Usage(id=usage.id, size=usage.size, description=usage.description, in_use=used, mutable=True)


def database_size(store: Store, name: str, blocks: Blocks) -> int:
    """Bytes of disk of a database with its log and lock, and of what was set aside when it was damaged."""
    return sum(blocks.of(store.path(one)) for one in os.listdir(store.root) if one.startswith(name))


def _described(name: str) -> str:
    if name.startswith("seccomp-"):
        return "the compiled filter of RUN steps"
    return "kept of a damaged list of images" if name.startswith("index.json.damaged-") else f"other: {name}"
