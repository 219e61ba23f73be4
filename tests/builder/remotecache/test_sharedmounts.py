from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.remotecache.cacheexport import CacheExport
from builder.remotecache.folderstorage import FolderStorage
from builder.remotecache.imports import Imports
from builder.remotecache.sharedmounts import aside, packed
from builder.solve.cachefolders import CacheFolders
from builder.solve.cachemounts import About, CacheMounts
from cache.store import Store
from tests.builder.remotecache.conftest import Told, step

ABOUT = About("/c", uid=os.geteuid(), gid=os.getegid())


def filled(store: Store, about: About = ABOUT, data: bytes = b"kept") -> str:
    """A cache with one file; its name."""
    with CacheMounts(store.path("caches")).locked(about) as path:
        Path(path).mkdir()
        (Path(path) / "file").write_bytes(data)
    return about.name


def folders(store: Store) -> CacheFolders:
    return CacheFolders(store.path("caches"), store.path("tmp"), lambda: True)


def exported(store: Store, folder: Path, *names: str, limit: int = 1 << 20) -> tuple[dict[str, Layer], Told]:
    told = Told()
    export = CacheExport(FolderStorage(str(folder), "latest"), store, True)
    with aside(store.path("tmp")) as archives:
        mounts = packed(folders(store), names, limit, archives, told.warn)
        export.finish([step(store, "a")], [], frozenset(), mounts, archives)
    export.close()
    assert os.listdir(store.path("tmp")) == []
    return mounts, told


def restored(tmp_path: Path, folder: Path, name: str, mounts: bool = True) -> tuple[Path, bool, Told]:
    told = Told()
    store = Store(str(tmp_path / "other"))
    storage = FolderStorage(str(folder), "latest")
    imports = Imports([storage], store, told, 1.0, [storage] if mounts else [])
    place = tmp_path / "place"
    place.mkdir()
    done = imports.restore(name, str(place), Limits())
    assert os.listdir(store.path("tmp")) == [] and store.blobs.digests() == []
    return place, done, told


def test_there_and_back(store: Store, folder: Path, tmp_path: Path) -> None:
    name = filled(store)
    exported(store, folder, name, "another")
    place, done, told = restored(tmp_path, folder, name)
    assert done and told.warnings == []
    assert [(path.name, path.read_bytes()) for path in place.iterdir()] == [("file", b"kept")]


def test_only_where_both_sides_want_it(store: Store, folder: Path, tmp_path: Path) -> None:
    name = filled(store)
    exported(store, folder, name)
    place, done, told = restored(tmp_path, folder, name, mounts=False)
    assert not done and list(place.iterdir()) == [] and told.steps == []


def test_a_name_that_is_not_there(store: Store, folder: Path, tmp_path: Path) -> None:
    exported(store, folder, filled(store))
    _, done, told = restored(tmp_path, folder, "another")
    assert not done and told.warnings == []


def test_what_is_too_large_or_in_use(store: Store, folder: Path) -> None:
    """The limit is for all together."""
    large, small = About("/large", uid=ABOUT.uid, gid=ABOUT.gid), About("/small", uid=ABOUT.uid, gid=ABOUT.gid)
    names = [filled(store, large, bytes(50_000)), filled(store, small), filled(store)]
    found, told = exported(store, folder, *names, limit=40_000)
    assert set(found) == set(names[1:])
    assert told.warnings[0].startswith("cache mount /large is not exported: cache /large has 50000 bytes")
    with CacheMounts(store.path("caches")).locked(ABOUT):
        found, told = exported(store, folder, *names)
    assert set(found) == set(names[:2])
    assert told.warnings == ["cache mount /c is in use and not exported"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_a_damaged_archive_leaves_an_empty_cache(store: Store, folder: Path, tmp_path: Path, damage: str) -> None:
    name = filled(store, data=os.urandom(5000))
    mounts, _ = exported(store, folder, name)
    blob = folder / "blobs/sha256" / mounts[name].blob.digest.hex
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= damage == "flipped"
    blob.write_bytes(data[:-1] if damage == "truncated" else data)
    if damage == "gone":
        blob.unlink()
    place, done, told = restored(tmp_path, folder, name)
    assert not done and list(place.iterdir()) == []
    assert len(told.warnings) == 1 and "a cache mount begins without it" in told.warnings[0]
