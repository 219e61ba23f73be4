from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.images.store import ImageStore
from builder.oci.reference import Reference
from builder.upkeep.doctor import Doctor
from cache.digest import Digest
from cache.errors import CacheFault
from cache.store import Store


@pytest.fixture
def examine(store, images, registry):
    def call(fix=False, quick=False):
        return list(Doctor(store, images, registry, fix=fix, quick=quick).examine())

    return call


def damages(findings):
    return [(finding.place, finding.fixed) for finding in findings if finding.damage]


def harm(store, blob, how):
    path = Path(store.blobs.path(blob))
    data = bytearray(path.read_bytes())
    path.unlink()
    if how == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[:-1])


def test_a_whole_store(store, images, registry, examine, step, make_image):
    image = make_image()
    images.tag(Reference.parse("app"), image.descriptor, "")
    step("a")
    store.index.put_memo("base", Digest.of(b"base"), b"{}")
    (Path(registry.folder) / (id := registry.new_id())).mkdir()
    registry.register("tree", id)
    assert examine() == []
    doctor = Doctor(store, images, registry, fix=False, quick=False)
    assert list(doctor.examine()) == []
    assert doctor.checked == {"blobs": 4, "results": 1, "images": 1, "trees": 1}


@pytest.mark.parametrize(
    ("how", "quick", "places"),
    [
        ("flip", False, ["blob"]),
        ("flip", True, []),
        ("cut", False, ["blob", "result"]),
        ("cut", True, ["result"]),
        ("gone", False, ["result"]),
        ("gone", True, ["result"]),
    ],
)
def test_a_harmed_layer_of_a_result(store, examine, step, how, quick, places):
    blob = step("a step")
    other = step("another")
    harm(store, blob, how)
    found = damages(examine(quick=quick))
    assert [place.split(" ")[0] for place, _ in found] == places
    assert not any(fixed for _, fixed in found)
    assert all(blob.hex in place or "(a step)" in place for place, _ in found)
    assert all(fixed for _, fixed in damages(examine(fix=True, quick=quick)))
    assert damages(examine(quick=quick)) == []
    if places:
        assert store.blobs.digests() == [other]
        assert [filed.what for filed in store.index.filed()] == ["another"]


@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_a_harmed_image(store, images, examine, make_image, how, part):
    image, other = make_image({"a": b"a" * 100}), make_image({"b": b""}, cmd="b")
    images.tag(Reference.parse("app:1"), image.descriptor, "")
    images.tag(Reference.parse("app:2"), image.descriptor, "")
    images.tag(Reference.parse("whole"), other.descriptor, "")
    harm(
        store,
        {"manifest": image.descriptor.digest, "config": image.id, "layer": image.layers[0].blob.digest}[part],
        how,
    )
    assert damages(examine())
    findings = examine(fix=True)
    assert ("image app:1, app:2", True) in damages(findings)
    assert damages(examine()) == []
    assert [stored.names for stored in images.list()] == [("whole:latest",)]
    again = make_image({"a": b"a" * 100})
    images.tag(Reference.parse("app:1"), again.descriptor, "")
    assert damages(examine()) == []


def test_a_record_that_cannot_be_read(store, examine):
    store.index.put_result(Digest.of(b"k"), b"{", 0.0, "what")
    assert damages(examine()) == [(f"result {Digest.of(b'k').hex[:12]} (what)", False)]
    assert damages(examine(fix=True))
    assert store.index.results() == []


def test_a_folder_that_is_gone(registry, examine):
    id = registry.new_id()
    (Path(registry.folder) / id).mkdir()
    registry.register("tree", id)
    registry.close()
    os.rmdir(Path(registry.folder) / id)
    assert damages(examine()) == [(f"tree {id}", False)]
    assert damages(examine(fix=True)) == [(f"tree {id}", True)]
    assert registry.registered() == []


def test_an_index_that_is_damaged_inside(store, images, registry, step):
    for number in range(200):
        store.index.put_result(Digest.of(b"%d" % number), b"x" * 500, 0.0)
    store.close()
    path = Path(store.path("index.db"))
    data = bytearray(path.read_bytes())
    data[8192:40960] = os.urandom(32768)  # pages in the middle; the header is whole
    path.write_bytes(data)
    again = Store(store.root)
    assert again.index.rebuilt == ""
    found = Doctor(again, images, registry, fix=False, quick=True).examine()
    assert next(found).place == "index.db"
    with pytest.raises(CacheFault):
        next(found)
    findings = list(Doctor(again, images, registry, fix=True, quick=True).examine())
    assert damages(findings) == [("index.db", True)]
    assert [finding.place for finding in findings if not finding.damage] == ["index.db.damaged"]
    assert again.index.results() == []
    assert again.index.problem() == ""


def test_a_list_of_trees_that_is_damaged_inside(store, images, registry):
    for number in range(100):
        (Path(registry.folder) / (id := registry.new_id())).mkdir()
        registry.register(f"tree {number} {'x' * 400}", id)
    registry.close()
    path = Path(store.path("snapshots.db"))
    data = bytearray(path.read_bytes())
    data[12288:32768] = os.urandom(20480)
    path.write_bytes(data)
    assert damages(Doctor(store, images, registry, fix=False, quick=True).examine()) == [("snapshots.db", False)]
    findings = list(Doctor(store, images, registry, fix=True, quick=True).examine())
    assert ("snapshots.db", True) in damages(findings)
    assert registry.registered() == []


def test_what_is_taken_meanwhile_is_no_damage(store, images, examine, step, monkeypatch):
    blob = step("a step")
    has = store.blobs.has

    def pruned(digest, size=None):
        store.index.delete_result(Digest.of(b"a step"))
        store.blobs.delete(blob)
        return has(digest, size)

    monkeypatch.setattr(store.blobs, "has", pruned)
    assert damages(examine()) == []


def test_leftovers_are_no_damage(store, examine, make_image):
    make_image()
    Path(store.path("index.json.damaged-1")).write_text("")
    findings = examine(fix=True)
    assert [(f.place, f.damage, f.fixed) for f in findings] == [
        ("blobs", False, False),
        ("index.json.damaged-1", False, False),
    ]
    assert "3 blobs" in findings[0].message


def test_a_lost_list_of_images_is_said(store, make_image, registry):
    images = ImageStore(store.root, store.blobs)
    images.tag(Reference.parse("app"), make_image().descriptor, "")
    Path(store.path("index.json")).write_text("{")
    findings = list(Doctor(store, images, registry, fix=False, quick=True).examine())
    assert images.resolve("app") is not None
    assert damages(findings) == [("index.json", True)]
