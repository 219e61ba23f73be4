"""Doctor: looks through a store, names what is damaged, and makes it good: what is deleted is made or asked for again.

It runs beside builds. What a prune takes meanwhile is no damage: names and rows go before bytes, so what is missing is
damage only if something still names it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from builder.images.image import Image
from builder.images.store import ImageStore, StoredImage
from builder.images.sweep import named
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from builder.layer.whiteout import from_oci
from builder.oci.descriptor import INDEXES, Descriptor
from builder.snapshot.probe import in_user_namespace
from builder.snapshot.registry import Registered, Registry
from builder.solve.result import Result
from builder.upkeep.finding import Finding
from builder.upkeep.owners import Owners
from builder.upkeep.treecheck import difference
from cache.digest import Digest
from cache.errors import CacheFault, DigestMismatch, Fault
from cache.record import recall
from cache.store import Store

_REBUILT = "the next build that needs it makes it anew"
_DOUBT = "it is unpacked again; what was made on it since may be wrong: lapstrake prune --all forgets all steps"
_GONE = "build, load or pull it again"


class Doctor:
    """fix: whether to set right what is found. quick: look at sizes only, where else every byte is hashed.

    Not to be used while this process uses the store.
    """

    def __init__(self, store: Store, images: ImageStore, registry: Registry, *, fix: bool, quick: bool) -> None:
        self._store, self._images, self._registry = store, images, registry
        self._fix, self._quick = fix, quick
        self.checked = {"blobs": 0, "results": 0, "images": 0, "trees": 0}

    def examine(self) -> Iterator[Finding]:
        """All findings, each when it is made."""
        yield from self._index()
        yield from self._layout()
        # Before anything is set right, since that takes names away.
        layers = Owners(self._store, self._images).layers if not self._quick else {}
        yield from self._blobs()
        yield from self._results()
        yield from self._listed()
        yield from self._trees(layers)
        yield from self._leftovers()

    def _index(self) -> Iterator[Finding]:
        index = self._store.index
        if index.rebuilt:
            yield Finding("index.db", index.rebuilt, fixed=True, hint="steps are run again")
        problem = index.problem()
        if problem:
            if self._fix:
                index.begin_anew(problem)
            yield Finding(
                "index.db", f"the cache index is damaged: {problem}", fixed=self._fix, hint="steps are run again"
            )
            if not self._fix:
                raise CacheFault("what the damaged index names cannot be looked at", "lapstrake doctor --fix")

    def _layout(self) -> Iterator[Finding]:
        self._images.list()  # a damaged list is restored when it is read
        if self._images.rebuilt:
            yield Finding("index.json", self._images.rebuilt, fixed=True)

    def _blobs(self) -> Iterator[Finding]:
        if self._quick:
            return
        blobs = self._store.blobs.digests()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for digest, problem in zip(blobs, pool.map(self._hashed, blobs), strict=True):
                self.checked["blobs"] += 1
                if problem:
                    yield self._bad_blob(digest, problem)

    def _hashed(self, digest: Digest) -> str:
        """What is wrong with a blob, "" if nothing is, or if it is gone."""
        try:
            with self._store.blobs.open(digest) as reader:
                reader.finish()
        except DigestMismatch as error:
            return error.message.removeprefix(f"blob {digest} ")
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        except CacheFault:
            return ""
        return ""

    def _bad_blob(self, digest: Digest, problem: str) -> Finding:
        if self._fix:
            self._store.blobs.delete(digest)
        return Finding(f"blob {digest}", problem, fixed=self._fix, hint=_REBUILT)

    def _results(self) -> Iterator[Finding]:
        blobs = self._store.blobs
        for filed in self._store.index.filed():
            self.checked["results"] += 1
            result = recall(filed.record, Result)
            if result is None:
                problem = "cannot be read"
            elif not blobs.has(result.layer.blob.digest, result.layer.blob.size):
                there = blobs.has(result.layer.blob.digest)
                problem = f"its layer {result.layer.blob.digest} {'has another size' if there else 'is missing'}"
            else:
                continue
            if self._store.index.result(filed.key) != filed.record:
                continue  # pruned, or made anew
            if self._fix:
                self._store.index.delete_result(filed.key)
                if result is not None:
                    blobs.delete(result.layer.blob.digest)
            name = f"result {filed.key.hex[:12]}" + (f" ({filed.what})" if filed.what else "")
            yield Finding(name, problem, fixed=self._fix, hint=_REBUILT)

    def _listed(self) -> Iterator[Finding]:
        for stored in self._images.list():
            self.checked["images"] += 1
            problem = self._image(stored.descriptor)
            if problem and any(now.descriptor.digest == stored.descriptor.digest for now in self._images.list()):
                yield self._bad_image(stored, problem)

    def _image(self, descriptor: Descriptor) -> str:
        """What an image lacks, "" if nothing. Of an index whole platforms may be elsewhere."""
        try:
            members = self._images.members(descriptor)
        except (Fault, OSError) as error:
            return error.message if isinstance(error, Fault) else str(error)
        for image in members:
            missing = self._missing(image)
            elsewhere = descriptor.media_type in INDEXES and len(missing) == len(image.layers)
            if missing and not elsewhere:
                return f"layer {missing[0]} is missing"
        return ""

    def _missing(self, image: Image) -> list[Digest]:
        blobs = self._store.blobs
        return [one.blob.digest for one in image.layers if not blobs.has(one.blob.digest, one.blob.size)]

    def _bad_image(self, stored: StoredImage, problem: str) -> Finding:
        name = f"image {', '.join(stored.names) or stored.descriptor.digest}"
        if self._fix:
            for text in stored.names:
                self._images.remove(text, force=True)
            self._images.forget({stored.descriptor.digest})
        return Finding(name, problem, fixed=self._fix, hint=f"{'it was untagged: ' if self._fix else ''}{_GONE}")

    def _trees(self, layers: dict[Digest, Digest]) -> Iterator[Finding]:
        problem = self._registry.problem()
        if problem:
            if self._fix:
                self._registry.begin_anew()
            yield Finding(
                "snapshots.db",
                f"the list of trees is damaged: {problem}",
                fixed=self._fix,
                hint="layers are unpacked again",
            )
            if not self._fix:
                return
        rows = self._registry.registered()
        self.checked["trees"] = len(rows)
        for row in rows:
            problem, hint = self._tree(row, layers)
            if problem and row in self._registry.registered():  # else it was pruned just now
                fixed = self._fix and bool(self._registry.evict([row]))
                yield Finding(f"tree {row.id}", problem, fixed=fixed, hint=hint)

    def _tree(self, row: Registered, layers: dict[Digest, Digest]) -> tuple[str, str]:
        """What is wrong with an unpacked layer, "" for nothing, and what comes of it."""
        path = os.path.join(self._registry.folder, row.id)
        if not os.path.isdir(path):
            return f"the folder of {row.key} is missing", "it is unpacked again"
        blob = layers.get(row.layer) if row.layer is not None else None
        if blob is None or not self._store.blobs.has(blob):
            return "", ""
        rootless = in_user_namespace()
        try:
            with self._store.blobs.open(blob) as reader:
                members = from_oci(open_archive(reader, Limits(), f"blob {blob}"))
                problem = difference(path, members, userxattr=rootless, owners=not rootless)
                reader.finish()
        except Fault:
            return "", ""  # of the blob, which is looked at by itself
        return problem and f"{problem} in layer {row.key}", _DOUBT

    def _leftovers(self) -> Iterator[Finding]:
        blobs = self._store.blobs
        spare = [one for one in blobs.digests() if not self._store.leases.is_held(one)]
        needed = named(self._store, self._images)
        spare = [one for one in spare if one not in needed]
        if spare:
            text = f"{len(spare)} blobs are needed by no image and no result"
            yield Finding("blobs", text, damage=False, hint="lapstrake prune removes them")
        for name in sorted(os.listdir(self._store.root)):
            if ".damaged" in name:
                yield Finding(name, "was set aside", damage=False, hint="delete it if nobody wants to look at it")
