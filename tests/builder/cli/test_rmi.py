from __future__ import annotations

import pytest

from builder.cli import main
from builder.images.store import ImageStore
from builder.oci.reference import Reference


@pytest.fixture
def app(store, make_image):
    image = make_image()
    ImageStore(store.root, store.blobs).tag(Reference.parse("app:1"), image.descriptor, "2020-01-02T03:04:05Z")
    return image


def test_the_last_name_takes_the_blobs(store, app, capsys):
    assert main.run(["--root", store.root, "image", "rm", "app:1"]) == 0
    assert capsys.readouterr().out == f"Untagged: app:1\nDeleted: {app.id}\n"
    assert list(store.blobs.digests()) == []


def test_no_prune_keeps_the_blobs(store, app):
    assert main.run(["--root", store.root, "rmi", "--no-prune", "app:1"]) == 0
    assert store.blobs.has(app.descriptor.digest, app.descriptor.size)


def test_beside_a_build_what_it_uses_stays(store, app, monkeypatch):
    monkeypatch.setattr("builder.sandbox.namespace.enter", lambda: None)
    with store.using():
        assert store.blobs.has(app.descriptor.digest)
        assert main.run(["--root", store.root, "rmi", "app:1"]) == 0
    assert store.blobs.digests() == [app.descriptor.digest]
    assert main.run(["--root", store.root, "prune", "--force"]) == 0
    assert store.blobs.digests() == []
