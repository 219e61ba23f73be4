from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.images.prune import prune, sweep
from builder.images.store import ImageStore
from builder.oci.reference import Reference
from cache.digest import Digest


@pytest.fixture
def images(store):
    return ImageStore(store.root, store.blobs)


def blobs_of(image):
    return {image.descriptor.digest, image.id, *(layer.blob.digest for layer in image.layers)}


def test_tagged_images_and_results_keep_their_blobs(store, images, make_image):
    kept, gone = make_image({"k": b"kept"}), make_image({"g": b"gone"}, cmd="g")
    images.tag(Reference.parse("kept"), kept.descriptor, "")
    result, _ = store.blobs.put(b"a cached layer")
    store.index.put_result(Digest.of(b"key"), b'{"blob":"%s"}' % str(result).encode(), 0.0)
    count, size = sweep(store, images)
    assert set(store.blobs.digests()) == blobs_of(kept) | {result}
    assert count == len(blobs_of(gone))
    assert size > 0


def test_plain_prune_takes_untagged_images_and_leftovers_but_no_cache(store, images, make_image):
    images.keep(make_image().descriptor, "")
    result, _ = store.blobs.put(b"a cached layer")
    store.index.put_result(Digest.of(b"key"), str(result).encode(), 0.0)
    Path(store.path("tmp", "blob-1-1")).write_bytes(b"left by a crash")
    pruned = prune(store, images, everything=False)
    assert (pruned.images, pruned.results) == (1, 0)
    assert images.list() == ()
    assert store.blobs.digests() == [result]
    assert os.listdir(store.path("tmp")) == []


def test_prune_of_everything_keeps_tagged_images_alone(store, images, make_image):
    image = make_image()
    images.tag(Reference.parse("app"), image.descriptor, "")
    result, _ = store.blobs.put(b"a cached layer")
    store.index.put_result(Digest.of(b"key"), str(result).encode(), 0.0)
    deep = Path(store.path("snapshots"))
    inside = os.open(deep, os.O_RDONLY)
    for _ in range(1500):  # deeper than a path may be long, or a recursion
        os.mkdir("dddd", dir_fd=inside)
        below = os.open("dddd", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = below
    os.close(inside)
    (deep / "file").write_bytes(bytes(100_000))
    (deep / "link").symlink_to("/")
    pruned = prune(store, images, everything=True)
    assert pruned.results == 1
    assert pruned.reclaimed >= 100_000
    assert set(store.blobs.digests()) == blobs_of(image)
    assert os.listdir(store.path("snapshots")) == []
    assert store.index.results() == []
    assert images.load(image.descriptor).id == image.id


def test_a_damaged_manifest_does_not_stop_it(store, images, make_image):
    image = make_image()
    images.tag(Reference.parse("app"), image.descriptor, "")
    Path(store.blobs.path(image.descriptor.digest)).write_bytes(b"{}")
    prune(store, images, everything=True)
    assert store.blobs.digests() == [image.descriptor.digest]
