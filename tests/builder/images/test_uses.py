from __future__ import annotations

import pytest

from builder.errors import ImageFault
from builder.images.store import ImageStore
from builder.images.uses import is_used, mark_used
from builder.oci.reference import Reference

WHEN = "2020-01-02T03:04:05Z"


@pytest.fixture
def app(store, make_image):
    """The digest of an image named app:1 and app:2."""
    images = ImageStore(store.root, store.blobs)
    image = make_image()
    for name in ("app:1", "app:2"):
        images.tag(Reference.parse(name), image.descriptor, WHEN)
    return image.descriptor.digest


def test_a_use_ends_with_its_holder(store, app):
    assert not is_used(store.root, app)
    with store.using():
        mark_used(store.leases, app)
        assert is_used(store.root, app)
    assert not is_used(store.root, app)


def test_a_lease_on_the_manifest_is_no_use(store, app):
    with store.using():
        assert store.blobs.has(app)
        assert not is_used(store.root, app)


def test_an_image_in_use_keeps_its_last_name(store, app):
    images = ImageStore(store.root, store.blobs)
    with store.using():
        mark_used(store.leases, app)
        assert images.remove("app:1") == ("Untagged: app:1",)
        with pytest.raises(ImageFault, match=r"conflict: unable to remove app:2 \(must be forced\)") as caught:
            images.remove("app:2")
        assert caught.value.hint
        (kept,) = images.list()
        assert kept.names == ("app:2",)
        assert images.remove("app:2", force=True)[0] == "Untagged: app:2"
    assert images.list() == ()
