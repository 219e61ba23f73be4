from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.errors import OutputFault, SourceFault
from builder.remotecache.folderstorage import FolderStorage
from cache.store import Store
from tests.builder.remotecache.conftest import exported


def here(folder: Path, tag: str = "latest") -> FolderStorage:
    return FolderStorage(str(folder), tag)


def blobs(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs/sha256").iterdir()}


def test_a_reset_keeps_what_tags_lead_to(store: Store, folder: Path) -> None:
    exported(store, here(folder), "a", "b")
    exported(store, here(folder, "other"), "b", "c")
    (folder / "blobs/sha256/some.tmp-1").write_bytes(b"left by a killed export")
    (folder / "index.json.tmp-1").write_bytes(b"this too")
    storage = here(folder)
    with storage.exporting():
        before = blobs(folder)
        exported(store, storage, "b")
        assert storage.reset()
    gone = before - blobs(folder)
    assert len(gone) == 4  # layer, records and manifest of the old one, and what was left
    assert not list(folder.glob("*.tmp-*"))
    assert len(json.loads((folder / "index.json").read_text())["manifests"]) == 2


def test_no_reset_while_others_export(store: Store, folder: Path) -> None:
    exported(store, here(folder), "a")
    (folder / "blobs/sha256/new").write_bytes(b"of somebody who is not done")
    one, two = here(folder), here(folder)
    with one.exporting():
        with two.exporting():
            assert not one.reset()
        assert "new" in blobs(folder)
    with two.exporting():
        assert two.reset()
    assert "new" not in blobs(folder)


@pytest.mark.parametrize("index", ["{", "[]", '{"manifests":[{}]}'])
def test_an_index_that_cannot_be_read_is_not_replaced(store: Store, folder: Path, index: str) -> None:
    folder.mkdir()
    (folder / "index.json").write_text(index)
    with pytest.raises(OutputFault, match="cannot be read"):
        exported(store, here(folder), "a")
    assert (folder / "index.json").read_text() == index


def test_entries_of_others_stay(store: Store, folder: Path) -> None:
    exported(store, here(folder, "mine"), "a")
    index = json.loads((folder / "index.json").read_text())
    other = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{'0' * 64}", "size": 7}
    index["manifests"].append({**other, "annotations": {"org.opencontainers.image.ref.name": "theirs", "x": "y"}})
    (folder / "index.json").write_text(json.dumps(index))
    exported(store, here(folder, "mine"), "b")
    names = [d["annotations"] for d in json.loads((folder / "index.json").read_text())["manifests"]]
    assert {"org.opencontainers.image.ref.name": "theirs", "x": "y"} in names and len(names) == 2
    storage, before = here(folder, "mine"), blobs(folder)
    with storage.exporting(), pytest.raises(SourceFault, match="is missing"):
        storage.reset()  # what a tag leads to is not known, so nothing goes
    assert blobs(folder) == before
