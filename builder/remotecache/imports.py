"""Imports: what --cache-from gives a build. Records are read when the store first knows nothing, layers when wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from builder.errors import Canceled, Denied, LostResult, RateLimited, TransportFault
from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.oci.reference import Reference
from builder.remotecache.load import load
from builder.remotecache.records import Shared, bare, is_bare
from builder.remotecache.storage import Moved, Report, Storage
from builder.solve import result
from builder.solve.result import Result
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store
from cache.waiting import outcome

_AT_ONCE = 4  # layers
_STEP = 1 << 20  # bytes between two reports
_AGAIN = "build again: its step is run"


class Imports:
    """Safe for many threads; lives as long as a command, over all its tries (see LostResult). now: for what is filed.

    A result whose layer is nowhere is given all the same: mostly it only leads to the key of another one. Who wants
    the layer finds that out, and from then on no such result is given.
    """

    def __init__(
        self, storages: Sequence[Storage], store: Store, report: Report, now: float, mounts: Sequence[Storage] = ()
    ) -> None:
        """mounts: those of the storages that cache mounts are taken from, too."""
        self._storages, self._store, self._report, self._now = storages, store, report, now
        self._lock = threading.Lock()
        self._loaded = False
        self._mounting, self._mounts = mounts, dict[str, tuple[Storage, Layer]]()
        self._results: dict[Digest, list[tuple[Digest, tuple[Digest, ...]]]] = {}
        self._selected: dict[Digest, tuple[Digest, ...]] = {}
        self._layers: dict[Digest, list[Layer]] = {}
        self._places: dict[Digest, list[tuple[Storage, Layer]]] = {}
        self._fetching: dict[Digest, threading.Lock] = {}
        self._waiting: dict[Digest, dict[Digest, tuple[Result, str]]] = {}
        self._bare: dict[Digest, list[Digest]] = {}  # the keys that were given each
        self._missed: dict[Digest, str] = {}
        self._offer_bare = True
        self._refused: set[Digest] = set()
        self._lost: set[Digest] = set()  # of these, in this try
        self._dead: list[Storage] = []
        self._canceled = False

    def results(self, key: Digest) -> Iterable[Result]:
        """Those with layers first."""
        self._load()
        without = []
        for diff_id, on in self._results.get(key, ()):
            layer = next((layer for layer in self._layers.get(diff_id, ()) if self._offered(layer.blob.digest)), None)
            if layer is not None:
                yield Result(layer, on)
            elif self._offer_bare and diff_id not in self._layers:
                without.append(Result(bare(diff_id), on))
        yield from without

    def selected(self, name: Digest) -> tuple[Digest, ...] | None:
        self._load()
        return self._selected.get(name)

    def wrong(self, name: Digest) -> None:
        self._load()
        if self._selected.pop(name, None) is not None:
            self._report.warn("a cache is wrong about what a step reads, which is looked at instead")

    def used(self, key: Digest, result: Result, what: str) -> None:
        """Results are filed once their layers are here, so that later builds need no import for them."""
        blob = result.layer.blob
        if is_bare(result.layer):
            self._bare.setdefault(blob.digest, []).append(key)
            return
        with self._lock:
            self._waiting.setdefault(blob.digest, {})[key] = (result, what)
        if self._store.blobs.has(blob.digest, blob.size):
            self._file(blob.digest)

    def supply(self, digest: Digest) -> bool:
        """For BlobStore.suppliers. Raises LostResult."""
        if digest in self._bare:
            self._offer_bare = False
            self._missed.update(dict.fromkeys(self._bare[digest], "its layer is in no shared cache"))
            raise LostResult(f"layer {digest} is in none of the caches", _AGAIN)
        if digest not in self._places:
            return False
        with self._lock:
            lock = self._fetching.setdefault(digest, threading.Lock())
        with lock:
            if digest in self._lost:
                raise LostResult(f"layer {digest} cannot be had from the cache", _AGAIN)
            if digest in self._refused:
                return False
            if not self._store.blobs.has(digest, self._places[digest][0][1].blob.size):
                self._fetch(digest)
        self._file(digest)
        return True

    def restore(self, name: str, path: str, limits: Limits) -> bool:
        """Fill an empty folder with what is shared of a cache mount; whether there was anything, and it was whole."""
        from builder.remotecache.sharedmounts import fill

        if not self._mounting:
            return False
        self._load()
        if name not in self._mounts:
            return False
        storage, layer = self._mounts[name]
        step = self._report.begin(f"fetching cache mount {layer.blob.digest} from {storage.name}")
        try:
            fill(storage, layer, path, limits, self._store.path("tmp"), self._moved(step, layer))
            return True
        except Canceled:
            raise
        except Fault as error:
            self._report.warn(f"cache {storage.name}: a cache mount begins without it: {error.message}")
            return False
        finally:
            self._report.done(step)

    def complete(self, layers: Iterable[Layer]) -> None:
        """See to it that those of the layers that are elsewhere are here. Raises LostResult."""
        wanted = [layer for layer in layers if layer.blob.digest in self._places]
        if not wanted:
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cache") as pool:
            try:
                for done in [pool.submit(self._store.blobs.obtain, one.blob.digest, one.blob.size) for one in wanted]:
                    outcome(done)
            except KeyboardInterrupt:
                self.cancel()
                raise

    def check(self, layers: Iterable[Layer]) -> None:
        """Raises LostResult if one of an image's layers is nowhere: nothing may name it."""
        for layer in layers:
            if is_bare(layer):
                self.supply(layer.blob.digest)

    def begin(self) -> None:
        """A try begins: what the last one found lost is not offered any more."""
        self._canceled = False
        for storage in self._storages:
            storage.resume()
        self._lost.clear()
        self._bare.clear()

    def cancel(self) -> None:
        """What is under way fails with Canceled, and what is asked for until the next try."""
        self._canceled = True
        for storage in self._storages:
            storage.cancel()

    def why(self, key: Digest | None) -> str:
        """Why a step is run whose result was found at first; "" where it was not."""
        return self._missed.get(key, "") if key is not None else ""

    def refused(self, blob: Digest) -> bool:
        """Whether a blob was found to be wrong or missing where it was said to be."""
        return blob in self._refused

    def source(self, blob: Digest) -> Reference | None:
        """The repository that has a blob."""
        found = (storage.reference for storage, _ in self._places.get(blob, ()))
        return next((reference for reference in found if reference is not None), None)

    def _load(self) -> None:
        with self._lock:
            if self._loaded:
                return
            with ThreadPoolExecutor(len(self._storages) or 1, thread_name_prefix="cache") as pool:
                try:
                    read = list(pool.map(self._read, self._storages))
                except BaseException:
                    self.cancel()
                    raise
            for storage, found in zip(self._storages, read, strict=True):
                for shared in found:
                    self._add(storage, shared)
            self._loaded = True

    def _read(self, storage: Storage) -> list[Shared]:
        step = self._report.begin(f"importing cache manifest from {storage.name}")
        try:
            return load(storage)
        except Canceled:
            raise
        except (Fault, OSError) as error:
            words = error.message if isinstance(error, Fault) else str(error.strerror)
            self._report.warn(f"cache import from {storage.name} skipped: {words}")
            return []
        finally:
            self._report.done(step)

    def _add(self, storage: Storage, shared: Shared) -> None:
        for layer in shared.layers:
            known = self._places.get(layer.blob.digest)
            if known is not None and known[0][1] != layer:
                continue  # what is said of a blob first counts
            self._layers.setdefault(layer.diff_id, []).append(layer)
            self._places.setdefault(layer.blob.digest, []).append((storage, layer))
        if storage in self._mounting:
            for name, layer in shared.mounts.items():
                self._mounts.setdefault(name, (storage, layer))
        for one in shared.records.results:
            self._results.setdefault(one.key, []).append((one.diff_id, one.on))
        for selected in shared.records.selected:
            self._selected.setdefault(selected.name, selected.contents)

    def _fetch(self, digest: Digest) -> None:
        for storage, layer in self._places[digest]:
            if storage in self._dead:
                continue
            if self._canceled:
                raise Canceled("canceled")
            step = self._report.begin(f"fetching layer {digest} from {storage.name}")
            try:
                storage.fetch(layer, self._store.blobs, self._moved(step, layer))
                return
            except Canceled:
                raise
            except (TransportFault, Denied, RateLimited) as error:
                self._dead.append(storage)  # no use in asking it for each layer
                self._report.warn(f"cache {storage.name} is given up: {error.message}")
            except Fault as error:
                self._report.warn(f"cache {storage.name}: {digest} is refused, its step is run: {error.message}")
            finally:
                self._report.done(step)
        self._refused.add(digest)
        self._lost.add(digest)
        with self._lock:
            keys = self._waiting.pop(digest, {})
        self._missed.update(dict.fromkeys(keys, "its layer in the shared cache is damaged or gone"))
        raise LostResult(f"layer {digest} cannot be had from the cache", _AGAIN)

    def _moved(self, step: Digest, layer: Layer) -> Moved:
        """Told of bytes, tells now and then."""
        blob, said = layer.blob, -_STEP

        def moved(count: int) -> None:
            nonlocal said
            if count - said >= _STEP or said < count == blob.size:
                said = count
                self._report.moved(step, blob.digest, count, blob.size)

        return moved

    def _offered(self, blob: Digest) -> bool:
        return blob not in self._refused and any(storage not in self._dead for storage, _ in self._places[blob])

    def _file(self, digest: Digest) -> None:
        with self._lock:
            waiting = self._waiting.pop(digest, {})
        for key, (found, what) in waiting.items():
            result.file(self._store, key, found, self._now, what)
