from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder.errors import BuildFault, SourceFault
from builder.images.layout import import_layout
from builder.images.store import ImageStore
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.store import Store


@pytest.fixture
def other(tmp_path):
    """Another, empty store."""
    return Store(str(tmp_path / "other"))


@pytest.fixture
def images(store):
    """The store that is read as a layout."""
    return ImageStore(store.root, store.blobs)


def rewrite(store, entries):
    Path(store.path("index.json")).write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


def entry(image, name="", platform=None, **more):
    made = {"mediaType": image.descriptor.media_type, "digest": str(image.descriptor.digest)}
    made["size"] = image.descriptor.size
    if name:
        made["annotations"] = {"org.opencontainers.image.ref.name": name}
    if platform:
        made["platform"] = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
    return made | more


def test_the_only_image_needs_no_name(store, images, make_image, other):
    image = make_image({"a": b"1"}, {"b": b"2"})
    images.tag(Reference.parse("app:1"), image.descriptor, "")
    descriptor = import_layout(store.root, "", other.blobs, host())
    assert descriptor.digest == image.descriptor.digest
    assert ImageStore(other.root, other.blobs).load(descriptor).layers == image.layers


@pytest.mark.parametrize("selector", ["1", "app:1", "docker.io/library/app:1", "{digest}"])
def test_one_of_several_by_tag_name_or_digest(store, images, make_image, other, selector):
    image = make_image(cmd="this")
    images.tag(Reference.parse("app:1"), image.descriptor, "")
    images.tag(Reference.parse("app:2"), make_image(cmd="other").descriptor, "")
    selector = selector.format(digest=image.descriptor.digest)
    assert import_layout(store.root, selector, other.blobs, host()).digest == image.descriptor.digest


def test_latest_is_what_is_meant_without_a_name(store, images, make_image, other):
    image = make_image(cmd="this")
    rewrite(store, [entry(make_image(cmd="x"), "x"), entry(image, "latest")])
    assert import_layout(store.root, "", other.blobs, host()).digest == image.descriptor.digest
    rewrite(store, [entry(make_image(cmd="x"), "x"), entry(image, "y")])
    with pytest.raises(SourceFault, match="does not hold an image to choose") as caught:
        import_layout(store.root, "", other.blobs, host())
    assert caught.value.hint == "names in it: x, y"


def test_an_index_leads_to_the_platform(store, images, make_image, other):
    here, there = make_image(cmd="here"), make_image(cmd="there")
    inner = json.dumps(
        {"schemaVersion": 2, "manifests": [entry(there, platform="linux/s390x"), entry(here, platform=str(host()))]}
    ).encode()
    digest, size = store.blobs.put(inner)
    media = "application/vnd.oci.image.index.v1+json"
    rewrite(store, [{"mediaType": media, "digest": str(digest), "size": size}])
    assert import_layout(store.root, "", other.blobs, host()).digest == here.descriptor.digest
    found = import_layout(store.root, "", other.blobs, Platform("s390x", "linux"))
    assert found.digest == there.descriptor.digest
    with pytest.raises(SourceFault, match="no match for platform linux/riscv64"):
        import_layout(store.root, "", other.blobs, Platform("riscv64", "linux"))


def test_a_second_import_reads_no_layer(store, images, make_image, other):
    image = make_image()
    images.tag(Reference.parse("app"), image.descriptor, "")
    import_layout(store.root, "", other.blobs, host())
    store.blobs.delete(image.layers[0].blob.digest)
    assert import_layout(store.root, "", other.blobs, host()).digest == image.descriptor.digest
    other.blobs.delete(image.layers[0].blob.digest)
    with pytest.raises(SourceFault, match="is missing"):
        import_layout(store.root, "", other.blobs, host())


def test_a_damaged_copy_in_the_store_is_replaced(store, images, make_image, other):
    image = make_image()
    images.tag(Reference.parse("app"), image.descriptor, "")
    blob = image.layers[0].blob
    good = store.blobs.read(blob.digest)
    Path(other.blobs.path(blob.digest)).write_bytes(bytes(blob.size))
    import_layout(store.root, "", other.blobs, host())
    assert other.blobs.read(blob.digest) == good


def test_a_known_layer_under_a_false_diff_id_is_refused(store, images, make_image, other):
    image = make_image()
    config = image.config_raw.replace(str(image.layers[0].diff_id).encode(), str(Digest.of(b"false")).encode())
    config_digest, _ = store.blobs.put(config)
    raw = image.manifest_raw.replace(str(image.id).encode(), str(config_digest).encode())
    digest, size = store.blobs.put(raw)
    rewrite(store, [{"mediaType": image.descriptor.media_type, "digest": str(digest), "size": size}])
    other.blobs.put(store.blobs.read(image.layers[0].blob.digest))
    with pytest.raises(SourceFault, match="is not the layer"):
        import_layout(store.root, "", other.blobs, host())
    assert not other.blobs.has(digest)


def damaged(how):
    def change(store, image):
        blob = Path(store.blobs.path(image.layers[0].blob.digest))
        config = Path(store.blobs.path(image.id))
        manifest = Path(store.blobs.path(image.descriptor.digest))
        index = Path(store.path("index.json"))
        if how == "layer":
            blob.write_bytes(bytes(blob.stat().st_size))
        elif how == "layer-size":
            blob.write_bytes(blob.read_bytes() + b"x")
        elif how == "layer-fifo":
            blob.unlink()
            os.mkfifo(blob)
        elif how == "layer-folder":
            blob.unlink()
            blob.mkdir()
        elif how == "config":
            config.write_bytes(config.read_bytes().replace(b"linux", b"xunil"))
        elif how == "manifest":
            manifest.write_bytes(manifest.read_bytes().replace(b"2", b"3"))
        elif how == "index-fifo":
            index.unlink()
            os.mkfifo(index)
        elif how == "index-huge":
            index.write_bytes(b" " * (5 << 20))
        elif how == "index-deep":
            index.write_bytes(b"[" * 100_000)
        elif how == "manifest-huge":
            rewrite(store, [entry(image, size=5 << 20)])
        elif how == "traversal":
            rewrite(store, [entry(image, digest="sha256:../../../etc/passwd")])
        elif how == "negative":
            rewrite(store, [entry(image, size=-1)])
        elif how == "no-layout-file":
            Path(store.path("oci-layout")).unlink()

    change.__name__ = how
    return change


@pytest.mark.parametrize(
    "change",
    [
        damaged(how)
        for how in (
            *("layer", "layer-size", "layer-fifo", "layer-folder", "config", "manifest", "index-fifo", "index-huge"),
            *("index-deep", "manifest-huge", "traversal", "negative", "no-layout-file"),
        )
    ],
)
def test_a_bad_layout_is_a_clear_fault(store, images, make_image, other, change):
    image = make_image()
    rewrite(store, [entry(image, "app")])
    change(store, image)
    with pytest.raises(BuildFault) as caught:
        import_layout(store.root, "", other.blobs, host())
    assert caught.value.message
    assert not other.blobs.has(image.descriptor.digest)


def test_indexes_that_go_on_and_on(store, images, make_image, other):
    inner = make_image()
    media = "application/vnd.oci.image.index.v1+json"
    made = entry(inner)
    for _ in range(6):
        digest, size = store.blobs.put(json.dumps({"schemaVersion": 2, "manifests": [made]}).encode())
        made = {"mediaType": media, "digest": str(digest), "size": size}
    rewrite(store, [made])
    with pytest.raises(BuildFault, match="nested"):
        import_layout(store.root, "", other.blobs, host())


def test_a_folder_that_is_no_layout(tmp_path, other):
    with pytest.raises(SourceFault, match="oci-layout is missing"):
        import_layout(str(tmp_path), "", other.blobs, host())
    with pytest.raises(SourceFault, match="no such directory"):
        import_layout(str(tmp_path / "absent"), "", other.blobs, host())
