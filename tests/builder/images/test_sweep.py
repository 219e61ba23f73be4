from __future__ import annotations

import pytest

from builder.images.origin import note_origin, origin_of
from builder.images.store import ImageStore
from builder.images.sweep import sweep
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.store import Store


@pytest.fixture
def images(store):
    return ImageStore(store.root, store.blobs)


def blobs_of(image):
    return {image.descriptor.digest, image.id, *(layer.blob.digest for layer in image.layers)}


def test_images_and_results_keep_their_blobs(store, images, make_image):
    kept, listed, gone = make_image({"k": b"kept"}), make_image({"l": b""}, cmd="l"), make_image({"g": b""}, cmd="g")
    images.tag(Reference.parse("kept"), kept.descriptor, "")
    images.keep(listed.descriptor, "")
    result, _ = store.blobs.put(b"a cached layer")
    store.index.put_result(Digest.of(b"key"), b'{"blob":"%s"}' % str(result).encode(), 0.0)
    count, size = sweep(store, images)
    assert set(store.blobs.digests()) == blobs_of(kept) | blobs_of(listed) | {result}
    assert count == len(blobs_of(gone))
    assert size > 0


def test_what_a_command_uses_stays(store, images, make_image):
    used, gone = make_image({"u": b""}), make_image({"g": b""}, cmd="g")
    other = Store(store.root)
    with other.using():
        for blob in blobs_of(used):
            assert other.blobs.has(blob)
        sweep(store, images)
        assert set(store.blobs.digests()) == blobs_of(used)
    assert not blobs_of(used) & blobs_of(gone)
    sweep(store, images)
    assert store.blobs.digests() == []


def test_what_gets_a_name_while_it_is_swept_stays(store, images, make_image, monkeypatch):
    image = make_image()
    lists = images.list

    def listed():
        found = lists()
        if not found:
            images.tag(Reference.parse("late"), image.descriptor, "")  # after it was seen to have none
        return found

    monkeypatch.setattr(images, "list", listed)
    assert sweep(store, images) == (0, 0)
    assert set(store.blobs.digests()) == blobs_of(image)


def test_where_a_blob_came_from_is_known_as_long_as_it_is_here(store, images, make_image):
    kept, gone = make_image({"k": b""}), make_image({"g": b""}, cmd="g")
    images.tag(Reference.parse("kept"), kept.descriptor, "")
    name = Reference.parse("registry.example.com/app:1")
    note_origin(store.index, name, (*kept.layers, *gone.layers))
    sweep(store, images)
    (layer,) = kept.layers
    known = origin_of(store.index, layer.blob.digest)
    assert known is not None and (known.reference, known.layer) == (name, layer)
    assert origin_of(store.index, gone.layers[0].blob.digest) is None
