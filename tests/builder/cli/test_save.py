from __future__ import annotations

import json
import tarfile

import pytest

from builder.cli import main
from builder.images.index import join
from builder.images.store import ImageStore
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference

OTHER = Platform("linux", "s390x")


@pytest.fixture
def both(store, make_image):
    """An index named app:1 of an image for another machine and one for this; and those two."""
    foreign, own = make_image({"a": b"foreign"}), make_image({"a": b"own"})
    index = join([(OTHER, foreign), (host(), own)])
    store.blobs.put(index.raw)
    ImageStore(store.root, store.blobs).tag(Reference.parse("app:1"), index.descriptor, "2020-01-02T03:04:05Z")
    return index, foreign, own


def saved(store, path):
    """The digest that index.json has, what manifest.json has as config, and the names of the blobs."""
    assert main.run(["--root", store.root, "save", "-o", str(path), "app:1"]) == 0
    with tarfile.open(path) as archive:
        names = archive.getnames()
        (entry,) = json.load(archive.extractfile("index.json"))["manifests"]
        (docker,) = json.load(archive.extractfile("manifest.json"))
    return entry["digest"], docker["Config"], names


def test_an_index_is_written_whole(store, both, tmp_path):
    index, foreign, own = both
    digest, config, names = saved(store, tmp_path / "app.tar")
    assert digest == str(index.descriptor.digest)
    assert config == f"blobs/sha256/{own.id.hex}"
    for image in (foreign, own):
        for part in (image.descriptor, image.manifest.config, *image.manifest.layers):
            assert f"blobs/sha256/{part.digest.hex}" in names


@pytest.mark.parametrize("kept", [1, 2])
def test_of_an_index_that_is_not_whole_what_is_here(store, both, tmp_path, kept):
    image = both[kept]
    store.blobs.delete(both[3 - kept].descriptor.digest)
    digest, config, _ = saved(store, tmp_path / "app.tar")
    assert digest == str(image.descriptor.digest)
    assert config == f"blobs/sha256/{image.id.hex}"


def test_an_index_of_nothing(store, both, tmp_path, capsys):
    for image in both[1:]:
        store.blobs.delete(image.descriptor.digest)
    assert main.run(["--root", store.root, "save", "-o", str(tmp_path / "app.tar"), "app:1"]) == 1
    assert "no platform of the index" in capsys.readouterr().err
    assert not (tmp_path / "app.tar").exists()
