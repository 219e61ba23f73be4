from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import ImageFault
from builder.images.store import ImageStore
from builder.oci.descriptor import OCI_INDEX, Descriptor
from builder.oci.manifest import Index, encode
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from cache.errors import CacheFault

WHEN = "2020-01-02T03:04:05Z"


@pytest.fixture
def images(store):
    return ImageStore(store.root, store.blobs)


def ref(text):
    return Reference.parse(text)


def index_of(store):
    return json.loads(Path(store.path("index.json")).read_bytes())


def test_a_new_store_is_an_empty_layout(store, images):
    assert index_of(store) == {
        "manifests": [],
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "schemaVersion": 2,
    }
    assert json.loads(Path(store.path("oci-layout")).read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert images.list() == ()
    assert images.rebuilt == ""


def test_a_tag_is_an_entry_with_three_annotations(store, images, make_image):
    image = make_image()
    images.tag(ref("app:1"), image.descriptor, WHEN)
    (entry,) = index_of(store)["manifests"]
    assert entry["digest"] == str(image.descriptor.digest)
    assert entry["annotations"] == {
        "org.opencontainers.image.ref.name": "app:1",
        "io.containerd.image.name": "docker.io/library/app:1",
        "dev.lapstrake.created": WHEN,
    }
    stored = images.resolve("app:1")
    assert stored is not None
    assert stored.names == ("app:1",)
    assert stored.created == WHEN
    assert images.load(stored.descriptor).config_raw == image.config_raw


@pytest.mark.parametrize(
    "text", ["ghcr.io/x/y:2", "ghcr.io/x/y:2@{digest}", "ghcr.io/x/y@{digest}", "{id}", "{short}", "{digest}"]
)
def test_an_image_is_found_by_name_digest_and_id(images, make_image, text):
    image = make_image()
    images.tag(ref("ghcr.io/x/y:2"), image.descriptor, WHEN)
    text = text.format(digest=image.descriptor.digest, id=image.id, short=image.id.short)
    found = images.resolve(text)
    assert found is not None
    assert found.descriptor.digest == image.descriptor.digest


@pytest.mark.parametrize("text", ["y", "y:2", "ghcr.io/x/y", "zz", "not a name", "", "sha256:", "y@sha256:" + "0" * 64])
def test_what_is_not_there_is_not_found(images, make_image, text):
    images.tag(ref("ghcr.io/x/y:2"), make_image().descriptor, WHEN)
    assert images.resolve(text) is None


def test_a_prefix_of_two_ids_is_ambiguous(images, make_image):
    many = [make_image({"f": b"%d" % n}, cmd=str(n)) for n in range(17)]  # 17 ids share a first digit somewhere
    for n, image in enumerate(many):
        images.tag(ref(f"i{n}"), image.descriptor, WHEN)
    digits = [image.id.hex[0] for image in many]
    shared = next(d for d in digits if digits.count(d) > 1)
    with pytest.raises(ImageFault, match="multiple images"):
        images.resolve(shared)


def test_a_name_moves_and_leaves_an_untagged_image(images, make_image):
    old, new = make_image(cmd="a"), make_image(cmd="b")
    images.tag(ref("app"), old.descriptor, WHEN)
    images.tag(ref("app"), new.descriptor, WHEN)
    assert {i.descriptor.digest: i.names for i in images.list()} == {
        old.descriptor.digest: (),
        new.descriptor.digest: ("app:latest",),
    }
    images.forget({old.descriptor.digest, new.descriptor.digest})
    assert [i.names for i in images.list()] == [("app:latest",)]


def test_tagging_an_untagged_image_gives_it_its_name_back(images, make_image):
    image = make_image()
    images.keep(image.descriptor, WHEN)
    images.keep(image.descriptor, WHEN)
    assert [i.names for i in images.list()] == [()]
    images.tag(ref("app"), image.descriptor, WHEN)
    images.keep(image.descriptor, WHEN)
    assert [i.names for i in images.list()] == [("app:latest",)]


def test_removing_names_and_then_the_image(images, make_image):
    image = make_image()
    images.tag(ref("a:1"), image.descriptor, WHEN)
    images.tag(ref("b:1"), image.descriptor, WHEN)
    with pytest.raises(ImageFault, match="must be forced"):
        images.remove(image.id.short)
    assert images.remove("a:1") == ("Untagged: a:1",)
    assert images.remove("b:1") == ("Untagged: b:1", f"Deleted: {image.id}")
    with pytest.raises(ImageFault, match="No such image: b:1"):
        images.remove("b:1")


def test_removing_by_id_with_force_takes_all_names(images, make_image):
    image = make_image()
    images.tag(ref("a:1"), image.descriptor, WHEN)
    images.tag(ref("b:1"), image.descriptor, WHEN)
    assert images.remove(str(image.id), force=True) == ("Untagged: a:1", "Untagged: b:1", f"Deleted: {image.id}")
    assert images.list() == ()


def test_an_image_that_is_not_stored_cannot_be_tagged(store, images, make_image):
    image = make_image()
    store.blobs.delete(image.descriptor.digest)
    with pytest.raises(ImageFault, match="not in the store"):
        images.tag(ref("app"), image.descriptor, WHEN)


def test_an_index_is_followed_to_this_machine(store, images, make_image):
    image, other = make_image(cmd="here"), make_image(cmd="elsewhere")
    entries = (
        Descriptor(
            other.descriptor.media_type, other.descriptor.digest, other.descriptor.size, Platform("s390x", "zos")
        ),
        Descriptor(image.descriptor.media_type, image.descriptor.digest, image.descriptor.size, host()),
    )
    raw = encode(Index(entries))
    digest, size = store.blobs.put(raw)
    images.tag(ref("many"), Descriptor(OCI_INDEX, digest, size), WHEN)
    stored = images.resolve("many")
    assert stored is not None
    assert images.load(stored.descriptor).id == image.id
    with pytest.raises(ImageFault, match="no match for platform"):
        images.load(stored.descriptor, Platform("riscv64", "linux"))


def joined_in(store, *images):
    raw = encode(Index(tuple(i.descriptor for i in images)))
    digest, size = store.blobs.put(raw)
    return Descriptor(OCI_INDEX, digest, size)


def test_an_index_is_one_image_of_its_own_id_and_its_members_sizes(store, images, make_image):
    one, two = make_image({"a": b"1"}, {"b": b"2"}), make_image({"a": b"1"}, cmd="x")
    index = joined_in(store, one, two)
    images.tag(ref("many"), index, WHEN)
    (stored,) = images.list()
    assert images.id(stored) == index.digest
    assert images.resolve(index.digest.short) == stored
    shared = two.manifest.layers[0].size
    assert images.size(index) == index.size + one.size + two.size - shared
    assert images.remove("many") == ("Untagged: many:latest", f"Deleted: {index.digest}")


def test_members_that_are_not_in_the_store_do_not_count(store, images, make_image):
    one, two = make_image({"a": b"1"}), make_image({"b": b"2"})
    index = joined_in(store, one, two)
    store.blobs.delete(two.descriptor.digest)
    assert [i.id for i in images.members(index)] == [one.id]
    assert images.size(index) == index.size + one.size


def test_a_lost_index_json_is_made_of_indexes_not_of_their_members(store, images, make_image):
    one, two, other = make_image({"a": b"1"}), make_image({"b": b"2"}), make_image(cmd="alone")
    index = joined_in(store, one, two)
    images.tag(ref("many"), index, WHEN)
    Path(store.path("index.json")).write_bytes(b"x")
    Path(store.path("index.backup.json")).write_bytes(b"y")
    fresh = ImageStore(store.root, store.blobs)
    assert {i.descriptor.digest for i in fresh.list()} == {index.digest, other.descriptor.digest}


def test_a_damaged_manifest_is_found_out(store, images, make_image):
    image = make_image()
    images.tag(ref("app"), image.descriptor, WHEN)
    Path(store.blobs.path(image.descriptor.digest)).write_bytes(image.manifest_raw.replace(b"2", b"3"))
    with pytest.raises(CacheFault, match="damaged"):
        images.load(image.descriptor)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"manifests": [{"digest": "sha256:zz"}]}', None])
def test_a_damaged_index_is_restored_with_its_names(store, images, make_image, damage):
    image = make_image()
    images.tag(ref("app:1"), image.descriptor, WHEN)
    path = Path(store.path("index.json"))
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    fresh = ImageStore(store.root, store.blobs)
    assert [i.names for i in fresh.list()] == [("app:1",)]
    assert "restored" in fresh.rebuilt
    if damage is not None:
        assert Path(store.path("index.json.damaged-1")).read_bytes() == damage
    assert ImageStore(store.root, store.blobs).rebuilt == ""


def test_without_the_copy_images_are_found_again_by_their_blobs(store, images, make_image):
    image = make_image()
    images.tag(ref("app:1"), image.descriptor, WHEN)
    Path(store.path("index.json")).write_bytes(b"x")
    Path(store.path("index.backup.json")).write_bytes(b"y")
    Path(store.path("index.json.damaged-1")).write_bytes(b"an older one")
    fresh = ImageStore(store.root, store.blobs)
    assert [(i.names, i.descriptor.digest) for i in fresh.list()] == [((), image.descriptor.digest)]
    assert "without their names" in fresh.rebuilt
    assert Path(store.path("index.json.damaged-2")).read_bytes() == b"x"
    assert Path(store.path("index.json.damaged-1")).read_bytes() == b"an older one"


def test_names_that_others_wrote_into_the_index_do_no_harm(store, images, make_image):
    image = make_image()
    entry = {"mediaType": image.descriptor.media_type, "digest": str(image.descriptor.digest)}
    entry |= {"size": image.descriptor.size, "annotations": {"org.opencontainers.image.ref.name": "Not A Name"}}
    Path(store.path("index.json")).write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    assert images.resolve("app") is None
    assert images.resolve(image.id.short) is not None
    assert images.remove(image.id.short) == ("Untagged: Not A Name", f"Deleted: {image.id}")


def test_threads_that_tag_at_once_lose_no_name(store, make_image):
    image = make_image()
    stores = [ImageStore(store.root, store.blobs) for _ in range(8)]
    threads = [
        threading.Thread(target=lambda s=s, n=n: [s.tag(ref(f"t{n}:{m}"), image.descriptor, WHEN) for m in range(5)])
        for n, s in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (stored,) = stores[0].list()
    assert stored.names == tuple(sorted(f"t{n}:{m}" for n in range(8) for m in range(5)))


def test_processes_that_tag_at_once_lose_no_name(store, images, make_image):
    image = make_image()
    code = """
import sys
from builder.images.store import ImageStore
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference
from cache.blobs import BlobStore
from cache.digest import Digest
root, digest, size, media, who = sys.argv[1:]
images = ImageStore(root, BlobStore(root))
for n in range(5):
    images.tag(Reference.parse(f"p{who}:{n}"), Descriptor(media, Digest.parse(digest), int(size)), "")
"""
    d = image.descriptor
    command = [sys.executable, "-c", code, store.root, str(d.digest), str(d.size), d.media_type]
    running = [subprocess.Popen([*command, str(who)]) for who in range(3)]
    assert [p.wait() for p in running] == [0, 0, 0]
    (stored,) = images.list()
    assert stored.names == tuple(sorted(f"p{w}:{n}" for w in range(3) for n in range(5)))
    assert os.listdir(store.path("tmp")) == []


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("name", ["app:1", "ghcr.io/x/y:2"])
def test_skopeo_reads_the_store_itself(store, images, make_image, name):
    image = make_image({"a": b"1"}, {"b": b"2"})
    images.tag(ref(name), image.descriptor, WHEN)
    images.tag(ref("other"), make_image(cmd="x").descriptor, WHEN)
    out = subprocess.run(
        ["skopeo", "inspect", f"oci:{store.root}:{name}"], check=True, capture_output=True, text=True
    ).stdout
    seen = json.loads(out)
    assert seen["Digest"] == str(image.descriptor.digest)
    assert len(seen["Layers"]) == 2
