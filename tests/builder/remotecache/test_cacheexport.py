from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from builder.errors import LostResult, OutputFault, RegistryFault
from builder.layer.codec import codec
from builder.oci.descriptor import OCI_INDEX, OCI_LAYER_ZSTD, Descriptor
from builder.oci.reference import Reference
from builder.remotecache.cacheexport import CacheExport, make_records
from builder.remotecache.folderstorage import FolderStorage
from builder.remotecache.records import bare, decode, encode, from_config, to_config
from builder.solve.lookup import Known
from builder.solve.result import Result
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.store import Store
from tests.builder.remotecache.conftest import Machine, exported, step


class Slow(FolderStorage):
    """Remembers what was asked, and waits before it looks."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), "latest")
        self.go = threading.Event()
        self.asked: list[Digest] = []
        self.sent: list[Digest] = []
        self.at_once = self.most = 0
        self.mounted: list[str] = []
        self._guard = threading.Lock()

    def has(self, blob: Descriptor) -> bool:
        with self._guard:
            self.asked.append(blob.digest)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        assert self.go.wait(20)
        with self._guard:
            self.at_once -= 1
        return super().has(blob)

    def mount(self, blob: Descriptor, source: Reference) -> bool:
        self.mounted.append(source.repository)
        return False

    def send(self, blob: Descriptor, blobs: BlobStore) -> None:
        self.sent.append(blob.digest)
        super().send(blob, blobs)


def test_layers_go_before_the_end_and_once(store: Store, folder: Path) -> None:
    storage = Slow(folder)
    steps = [step(store, str(number)) for number in range(9)]
    export = CacheExport(storage, store, True, at_once=3)
    for one in (*steps, *steps):
        export.offer(one.result.layer, False)
    storage.go.set()
    export.finish(steps, [], frozenset())
    export.close()
    assert len(storage.sent) == 9 and storage.most == 3
    assert storage.asked.count(steps[0].result.layer.blob.digest) == 1
    again = Slow(folder)
    again.go.set()
    second = CacheExport(again, store, True)
    second.finish(steps, [], frozenset())
    second.close()
    assert again.sent == []


def test_the_manifest_comes_last(store: Store, folder: Path) -> None:
    class Failing(FolderStorage):
        def send(self, blob: Descriptor, blobs: BlobStore) -> None:
            if blob.digest == known[1].result.layer.blob.digest:
                raise RegistryFault("no space left")
            super().send(blob, blobs)

    known = [step(store, name) for name in "abc"]
    export = CacheExport(Failing(str(folder), "latest"), store, True)
    with pytest.raises(RegistryFault, match="no space left"):
        export.finish(known, [], frozenset())
    export.close()
    assert not (folder / "index.json").exists()


def test_an_index(tmp_path: Path, store: Store, folder: Path) -> None:
    known = exported(store, FolderStorage(str(folder), "latest"), "a", "b", index=OCI_INDEX)
    machine = Machine(tmp_path / "other", FolderStorage(str(folder), "latest"))
    assert [machine.use(one) for one in known] == [one.result for one in known]
    assert all(machine.obtain(one.result.layer) for one in known)


def test_another_form(tmp_path: Path, store: Store, folder: Path) -> None:
    known = step(store, "a")
    export = CacheExport(FolderStorage(str(folder), "latest"), store, True, (codec("zstd", 3), True))
    export.finish([known], [], frozenset())
    export.close()
    machine = Machine(tmp_path / "other", FolderStorage(str(folder), "latest"))
    found = machine.use(known)
    assert found.layer.blob.media_type == OCI_LAYER_ZSTD and found.layer.diff_id == known.result.layer.diff_id
    assert machine.obtain(found.layer)


def test_a_blob_that_is_wrong_over_there_is_written_again(store: Store, folder: Path) -> None:
    """Also if it was looked for before anybody knew."""
    storage = Slow(folder)
    storage.go.set()
    (known,) = exported(store, storage, "a")
    wrong: set[Digest] = set()
    export = CacheExport(storage, store, True, again=wrong.__contains__)
    export.finish([known], [], frozenset())
    digest = known.result.layer.blob.digest
    assert storage.sent == [digest]
    (folder / "blobs/sha256" / digest.hex).write_bytes(b"wrong")
    wrong.add(digest)
    export.finish([known], [], frozenset())
    export.close()
    assert storage.sent == [digest, digest]
    assert Digest.of((folder / "blobs/sha256" / digest.hex).read_bytes()) == digest


def test_what_is_known_by_name_only_is_told(store: Store, folder: Path) -> None:
    known = step(store, "a")
    only = Known(Digest.of(b"v"), Digest.of(b"k"), Result(bare(Digest.of(b"d")), ()))
    export = CacheExport(FolderStorage(str(folder), "latest"), store, True)
    export.offer(only.result.layer, True)
    export.finish([known, only], [], frozenset())
    export.close()
    (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
    manifest = json.loads((folder / "blobs/sha256" / entry["digest"].partition(":")[2]).read_text())
    assert len(manifest["layers"]) == 1
    records = (folder / "blobs/sha256" / manifest["config"]["digest"].partition(":")[2]).read_bytes()
    assert str(only.key) in records.decode() and str(known.key) in records.decode()


def test_nothing_to_tell(store: Store, folder: Path) -> None:
    export = CacheExport(FolderStorage(str(folder), "latest"), store, True)
    export.finish([], [], frozenset())
    export.close()
    assert not folder.exists()


def test_a_neighbour_is_asked(store: Store, folder: Path) -> None:
    storage = Slow(folder)
    storage.go.set()
    export = CacheExport(storage, store, True, origin=lambda blob: Reference("host", "team/app"))
    export.finish([step(store, "a")], [], frozenset())
    export.close()
    assert storage.mounted == ["team/app"] and len(storage.sent) == 1


def test_a_layer_that_is_gone(store: Store, folder: Path) -> None:
    known = step(store, "a")
    store.blobs.delete(known.result.layer.blob.digest)
    export = CacheExport(FolderStorage(str(folder), "latest"), store, True)
    with pytest.raises(OutputFault, match="is not in the store"):
        export.finish([known], [], frozenset())

    def lost(blob: Digest) -> bool:
        raise LostResult("gone")

    store.blobs.suppliers.append(lost)
    with pytest.raises(LostResult):
        export.finish([known], [], frozenset())
    export.close()


def test_records_are_the_same_in_any_order(store: Store) -> None:
    known = [step(store, name) for name in "abc"]
    selected = [(Digest.of(name), (Digest.of(b"x"),)) for name in (b"1", b"2")]
    one, two = make_records(known, selected), make_records(known[::-1], selected[::-1])
    assert encode(one) == encode(two)
    blobs = tuple(known[n].result.layer.blob for n in range(3))
    diff_ids = tuple(known[n].result.layer.diff_id for n in range(3))
    assert from_config(to_config(one), diff_ids, blobs).records == decode(encode(one), ()).records
