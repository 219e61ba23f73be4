from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from builder.errors import OutputFault
from builder.export.layoutfolder import LayoutFolderExporter
from builder.export.transfer import Transfer
from builder.images.layout import import_layout
from builder.oci.platform import host
from builder.oci.reference import Reference
from cache.store import Store

NAMES = (Reference.parse("app:1"),)


def test_a_folder_that_can_be_read_back(tmp_path, store, make_image):
    image = make_image({"a": b"1"}, {"b": b"2"})
    dest = tmp_path / "new" / "layout"
    exporter = LayoutFolderExporter(str(dest), Transfer(store.blobs))
    exporter.check()
    assert not dest.exists()
    exporter.write(image, NAMES)
    other = Store(str(tmp_path / "other"))
    assert import_layout(str(dest), "1", other.blobs, host()).digest == image.descriptor.digest
    assert sorted(p.name for p in dest.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_second_image_replaces_the_index_and_keeps_the_blobs(tmp_path, store, make_image):
    one, two = make_image(cmd="1"), make_image(cmd="2")
    exporter = LayoutFolderExporter(str(tmp_path / "layout"), Transfer(store.blobs))
    exporter.write(one, NAMES)
    exporter.write(two, NAMES)
    (entry,) = json.loads((tmp_path / "layout" / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == str(two.descriptor.digest)
    assert (tmp_path / "layout" / "blobs" / "sha256" / one.descriptor.digest.hex).exists()


def test_bad_destinations(tmp_path, store):
    def check(dest):
        LayoutFolderExporter(str(dest), Transfer(store.blobs)).check()

    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputFault, match="is a file"):
        check(tmp_path / "file")
    with pytest.raises(OutputFault, match="is not a directory"):
        check(tmp_path / "file" / "below")
    with pytest.raises(OutputFault, match="dest cannot be stdout for oci exporter"):
        check("-")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path, store):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputFault, match="not writable"):
        LayoutFolderExporter(str(tmp_path / "closed" / "a" / "b"), Transfer(store.blobs)).check()


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_reads_it(tmp_path, store, make_image):
    image = make_image()
    LayoutFolderExporter(str(tmp_path / "layout"), Transfer(store.blobs)).write(image, NAMES)
    command = ["skopeo", "inspect", f"oci:{tmp_path}/layout:1"]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert seen["Digest"] == str(image.descriptor.digest)
