"""What an import gives, and what becomes of one that is not what it says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from builder.errors import Canceled, LostResult
from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.remotecache.folderstorage import FolderStorage
from builder.remotecache.records import is_bare
from builder.remotecache.storage import Moved
from builder.sandbox.stub import make_stub
from builder.snapshot.snapshots import open_snapshots
from builder.solve import result
from builder.solve.lookup import Known
from builder.solve.stratum import Stratum
from builder.solve.trees import Trees
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.store import Store
from tests.builder.remotecache.conftest import Machine, exported

Damage = Callable[[Path], object]
CACHE = "application/vnd.lapstrake.cache.v1+json"


def blob(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / "sha256" / digest.hex


def test_layers_come_when_they_are_wanted(machine: Machine, folder: Path, cached: list[Known]) -> None:
    assert machine.told.steps == []
    found = machine.use(cached[0])
    assert found == cached[0].result
    assert machine.told.steps == [f"importing cache manifest from {folder}"]
    assert machine.imports.selected(Digest.of(b"selection")) == (Digest.of(b"content"),)
    assert machine.imports.selected(Digest.of(b"other")) is None
    assert list(machine.imports.results(Digest.of(b"no"))) == []
    assert result.find(machine.store, cached[0].key) is None
    assert machine.obtain(found.layer)
    assert result.find(machine.store, cached[0].key) == found  # filed, now that it is whole
    assert machine.store.blobs.digests() == [found.layer.blob.digest]
    assert machine.told.moves == [(found.layer.blob.digest, found.layer.blob.size, found.layer.blob.size)]
    assert machine.told.warnings == []


def test_what_is_here_already_is_filed_at_once(machine: Machine, folder: Path, cached: list[Known]) -> None:
    machine.store.blobs.put(blob(folder, cached[0].result.layer.blob.digest).read_bytes())
    machine.use(cached[0])
    assert result.find(machine.store, cached[0].key) == cached[0].result
    assert len(machine.told.steps) == 1


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def turn_into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [truncate, flip, grow, Path.unlink, turn_into_folder]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_layer_is_refused_once(machine: Machine, folder: Path, cached: list[Known], damage: Damage) -> None:
    layer = cached[1].result.layer
    damage(blob(folder, layer.blob.digest))
    machine.use(cached[1])
    for _ in range(2):  # two threads may ask
        with pytest.raises(LostResult):
            machine.obtain(layer)
    (warning,) = machine.told.warnings
    assert str(layer.blob.digest) in warning and "is refused" in warning
    machine.imports.begin()
    assert machine.imports.why(cached[1].key) == "its layer in the shared cache is damaged or gone"
    assert machine.imports.why(cached[0].key) == machine.imports.why(None) == ""
    assert list(machine.imports.results(cached[1].key)) == []
    assert machine.imports.refused(layer.blob.digest)
    assert not machine.obtain(layer)
    assert list(machine.imports.results(cached[0].key)) == [cached[0].result]
    assert not any((Path(machine.store.root) / "tmp").iterdir())


def test_another_import_has_it_too(tmp_path: Path, store: Store, folder: Path, cached: list[Known]) -> None:
    second = FolderStorage(str(tmp_path / "second"), "latest")
    exported(store, second, "b")
    machine = Machine(tmp_path / "other", FolderStorage(str(folder), "latest"), second)
    flip(blob(folder, cached[1].result.layer.blob.digest))
    assert machine.obtain(machine.use(cached[1]).layer)
    assert len(machine.told.warnings) == 1


def document(folder: Path, kind: str) -> Path:
    """The manifest's file, or its config's."""
    index = json.loads((folder / "index.json").read_text())
    manifest = blob(folder, Digest.parse(index["manifests"][0]["digest"]))
    if kind == "manifest":
        return manifest
    return blob(folder, Digest.parse(json.loads(manifest.read_text())["config"]["digest"]))


@pytest.mark.parametrize("kind", ["manifest", "config"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_documents_are_a_warning(
    machine: Machine, folder: Path, cached: list[Known], damage: Damage, kind: str
) -> None:
    damage(document(folder, kind))
    assert list(machine.imports.results(cached[0].key)) == []
    assert machine.imports.selected(Digest.of(b"selection")) is None
    (warning,) = machine.told.warnings
    assert warning.startswith(f"cache import from {folder} skipped: ")


@pytest.mark.parametrize(
    "index",
    [
        "", "{", "[]", "{}", "1", '{"manifests":1}', '{"manifests":[]}', '{"manifests":[{"mediaType":1}]}',
        "[" * 100_000, '{"manifests":' + "[" * 100_000, '{"x":"' + "y" * (5 << 20) + '"}',
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_index_is_a_warning(machine: Machine, folder: Path, index: str) -> None:
    folder.mkdir()
    (folder / "index.json").write_text(index)
    assert list(machine.imports.results(Digest.of(b"x"))) == []
    assert len(machine.told.warnings) == 1


def put(folder: Path, raw: bytes) -> dict[str, Any]:
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    blob(folder, Digest.of(raw)).write_bytes(raw)
    return {"digest": str(Digest.of(raw)), "size": len(raw)}


def tag(folder: Path, manifest: dict[str, Any]) -> None:
    """Let the tag lead to this manifest."""
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        **put(folder, json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": "latest"},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def with_config(folder: Path, raw: bytes, media_type: str = CACHE) -> dict[str, Any]:
    return {"schemaVersion": 2, "config": {"mediaType": media_type, **put(folder, raw)}, "layers": []}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "damaged record"),
        (b"null", "damaged record"),
        (b'{"results":[{"key":"sha256:1"}]}', "damaged record"),
        (b'{"results":{}}', "damaged record"),
        (b'{"version":2}', "of version 2"),
        (b'{"diff_ids":["sha256:' + b"0" * 64 + b'"]}', "it has 0 layers, and names 1"),
        (b'{"results":' + b"[" * 200_000, "damaged record"),
        (b'{"selected":[{"name":"' + b"x" * (5 << 20) + b'"}]}', "more than"),
    ],
    ids=range(8),
)
def test_records_of_another_shape_are_a_warning(machine: Machine, folder: Path, raw: bytes, words: str) -> None:
    tag(folder, with_config(folder, raw))
    assert list(machine.imports.results(Digest.of(b"x"))) == []
    (warning,) = machine.told.warnings
    assert words in warning


def test_a_foreign_cache_is_a_warning(machine: Machine, folder: Path) -> None:
    tag(folder, with_config(folder, b"{}", "application/vnd.buildkit.cacheconfig.v0"))
    assert list(machine.imports.results(Digest.of(b"x"))) == []
    assert "is a cache of BuildKit" in machine.told.warnings[0]


def test_an_image_without_records_is_a_warning(machine: Machine, folder: Path) -> None:
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    tag(folder, with_config(folder, config, "application/vnd.oci.image.config.v1+json"))
    assert list(machine.imports.results(Digest.of(b"x"))) == []
    assert "it holds no cache of lapstrake" in machine.told.warnings[0]


def test_a_layer_that_is_another_one_is_refused(machine: Machine, folder: Path, cached: list[Known]) -> None:
    """Poisoned: the blob is whole, its plain bytes are not those of the diff_id that it is said to have."""
    manifest = json.loads(document(folder, "manifest").read_text())
    manifest["layers"][0], manifest["layers"][1] = manifest["layers"][1], manifest["layers"][0]
    tag(folder, manifest)
    found = machine.use(cached[0])
    assert found.layer.blob != cached[0].result.layer.blob
    with pytest.raises(LostResult):
        machine.store.blobs.open(found.layer.blob.digest)
    assert "is not the layer" in machine.told.warnings[0]
    assert machine.store.blobs.digests() == []


def test_a_layer_of_no_bytes_and_a_folder_that_is_not_there(tmp_path: Path, folder: Path) -> None:
    digest = str(Digest.of(b""))
    manifest = with_config(folder, json.dumps({"diff_ids": [digest]}).encode())
    manifest["layers"] = [{"mediaType": "x", "digest": digest, "size": 0}]
    tag(folder, manifest)
    nowhere = FolderStorage(str(tmp_path / "nowhere"), "latest")
    machine = Machine(tmp_path / "other", FolderStorage(str(folder), "latest"), nowhere)
    assert list(machine.imports.results(Digest.of(b"x"))) == []
    first, second = sorted(machine.told.warnings)
    assert first.endswith("it has a layer of no bytes") and "it has no index.json" in second


def test_records_without_layers(machine: Machine, store: Store, folder: Path) -> None:
    """They are given until somebody wants a layer of them."""
    stage, image = exported(store, FolderStorage(str(folder), "latest"), "stage", "image", chain=("image",))
    found = machine.use(stage)
    assert is_bare(found.layer) and found.layer.diff_id == stage.result.layer.diff_id
    assert not is_bare(machine.use(image).layer)
    with pytest.raises(LostResult):
        machine.imports.check([found.layer])
    with pytest.raises(LostResult):
        machine.store.blobs.open(found.layer.blob.digest)
    machine.imports.begin()
    assert list(machine.imports.results(stage.key)) == []
    assert list(machine.imports.results(image.key)) == [image.result]
    assert machine.told.warnings == []


def test_canceled(machine: Machine, cached: list[Known]) -> None:
    layer = machine.use(cached[0]).layer
    machine.imports.cancel()
    with pytest.raises(Canceled):
        machine.imports.complete([layer])
    machine.imports.begin()
    machine.imports.complete([layer])
    assert machine.store.blobs.has(layer.blob.digest)


def test_a_tag_and_a_digest(tmp_path: Path, store: Store, folder: Path, cached: list[Known]) -> None:
    exported(store, FolderStorage(str(folder), "other"), "d")
    assert len(json.loads((folder / "index.json").read_text())["manifests"]) == 2
    old = Digest(document(folder, "manifest").name)
    exported(store, FolderStorage(str(folder), "latest"), "e")
    for number, (tagged, digest, key, words) in enumerate(
        (
            ("other", None, b"d", ""),
            ("latest", None, b"a", "gone"),
            ("latest", None, b"e", ""),
            ("latest", old, b"a", ""),
            ("none", None, b"d", "no digest found for tag none"),
            ("latest", Digest.of(b"?"), b"d", f"digest {Digest.of(b'?')} unavailable"),
        )
    ):
        machine = Machine(tmp_path / f"other{number}", FolderStorage(str(folder), tagged, digest))
        assert bool(list(machine.imports.results(Digest.of(key)))) is not bool(words)
        assert words in (*machine.told.warnings, "gone")[0]


def test_the_layers_of_a_tree_come_together(tmp_path: Path, folder: Path, cached: list[Known]) -> None:
    """Whoever looks at a tree has all its layers on their way at once."""
    meet = threading.Barrier(3, timeout=20)

    class Meeting(FolderStorage):
        def fetch(self, layer: Layer, blobs: BlobStore, moved: Moved) -> None:
            meet.wait()
            super().fetch(layer, blobs, moved)

    machine = Machine(tmp_path / "other", Meeting(str(folder), "latest"))
    stack = tuple(Stratum(machine.use(known).layer) for known in cached)
    warnings: list[str] = []
    opened = partial(open_snapshots, machine.store.root, make_stub, warnings.append)
    trees = Trees(opened, machine.store.blobs, warnings.append, Limits())
    try:
        view = trees.view(stack)
        assert sorted(entry.path for entry in view.walk(b"")) == [b"a", b"b", b"c"]
        trees.view(stack)
    finally:
        trees.close()
    assert warnings == []


def test_layers_of_dockers_types_are_those_of_oci(machine: Machine, folder: Path, cached: list[Known]) -> None:
    """An image's digest must not depend on where its layers came from; what is no layer is none."""
    manifest = json.loads(document(folder, "manifest").read_text())
    manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    manifest["layers"][1]["mediaType"] = "text/html"
    tag(folder, manifest)
    assert machine.use(cached[0]) == cached[0].result
    assert is_bare(machine.use(cached[1]).layer)


def test_a_selection_that_is_wrong_is_told_once(machine: Machine, cached: list[Known]) -> None:
    name = Digest.of(b"selection")
    assert machine.imports.selected(name) is not None
    machine.imports.wrong(name)
    machine.imports.wrong(name)
    assert machine.imports.selected(name) is None and len(machine.told.warnings) == 1
