"""A cache made by hand, in a folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from builder.layer.layer import Layer
from builder.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from builder.remotecache.cacheexport import CacheExport
from builder.remotecache.folderstorage import FolderStorage
from builder.remotecache.imports import Imports
from builder.remotecache.storage import Storage
from builder.solve.lookup import Known
from builder.solve.result import Result
from cache.digest import Digest
from cache.store import Store
from tests.memoryregistry import tar_of


class Told:
    """What was said."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.steps: list[str] = []
        self.moves: list[tuple[Digest, int, int]] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def begin(self, what: str) -> Digest:
        self.steps.append(what)
        return Digest.of(what.encode())

    def done(self, digest: Digest) -> None:
        pass

    def moved(self, digest: Digest, blob: Digest, count: int, size: int) -> None:
        self.moves.append((blob, count, size))


class Machine:
    """Another one, with an empty store, that imports from storages."""

    def __init__(self, root: Path, *storages: Storage) -> None:
        self.told = Told()
        self.store = Store(str(root))
        self.imports = Imports(storages, self.store, self.told, 1.0)
        self.store.blobs.suppliers.append(self.imports.supply)

    def use(self, known: Known) -> Result:
        """What it is given for a step, which it goes by."""
        found = next(iter(self.imports.results(known.key)))
        assert found.on == known.result.on
        self.imports.used(known.key, found, "RUN x")
        return found

    def obtain(self, layer: Layer) -> bool:
        return self.store.blobs.obtain(layer.blob.digest, layer.blob.size)


def step(store: Store, name: str) -> Known:
    """A step `name`, whose layer is in the store."""
    plain = tar_of({name: name.encode() * 1000})
    digest, size = store.blobs.put(gzip.compress(plain, 1, mtime=0))
    layer = Layer(Digest.of(plain), Descriptor(OCI_LAYER_GZIP, digest, size))
    return Known(Digest.of(f"v{name}".encode()), Digest.of(name.encode()), Result(layer, (Digest.of(b"tree"),)))


def exported(store: Store, storage: Storage, *names: str, chain: tuple[str, ...] = (), index: str = "") -> list[Known]:
    """Steps of these names, exported with all layers, or with those in chain."""
    known = [step(store, name) for name in names]
    export = CacheExport(storage, store, not chain, index=index)
    selected = [(Digest.of(b"selection"), (Digest.of(b"content"),))]
    of_image = frozenset(one.vertex for name, one in zip(names, known, strict=True) if name in chain)
    export.finish(known, selected, of_image)
    export.close()
    return known


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cached(store: Store, folder: Path) -> list[Known]:
    return exported(store, FolderStorage(str(folder), "latest"), "a", "b", "c")


@pytest.fixture
def machine(tmp_path: Path, folder: Path) -> Machine:
    return Machine(tmp_path / "other", FolderStorage(str(folder), "latest"))
