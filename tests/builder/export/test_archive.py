from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from builder.errors import ImageFault, OutputFault
from builder.export.archive import ArchiveExporter
from builder.export.target import Target
from builder.export.transfer import Transfer
from builder.oci.reference import Reference
from cache.errors import DigestMismatch

NAMES = (Reference.parse("app:1"), Reference.parse("ghcr.io/x/y:2"))


@pytest.fixture
def image(make_image):
    return make_image({"a": b"1"}, {"b": b"2"})


def export(store, image, path, names=NAMES, proven=frozenset()):
    store.blobs.written.clear()
    store.blobs.written.update(proven)
    ArchiveExporter(Target(str(path), "docker"), Transfer(store.blobs), docker=True).write(image, names)


def members(path):
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() if m.isfile() else None for m in archive}


def test_it_is_a_layout_and_a_docker_archive(tmp_path, store, image):
    path = tmp_path / "out.tar"
    export(store, image, path)
    found = members(path)
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    first, second = json.loads(found["index.json"])["manifests"]
    assert first["digest"] == second["digest"] == str(image.descriptor.digest)
    assert first["annotations"] == {
        "io.containerd.image.name": "docker.io/library/app:1",
        "org.opencontainers.image.created": "2001-02-03T04:05:06Z",
        "org.opencontainers.image.ref.name": "1",
    }
    assert second["annotations"]["io.containerd.image.name"] == "ghcr.io/x/y:2"
    assert json.loads(found["manifest.json"]) == [
        {
            "Config": f"blobs/sha256/{image.id.hex}",
            "RepoTags": ["app:1", "ghcr.io/x/y:2"],
            "Layers": [f"blobs/sha256/{x.blob.digest.hex}" for x in image.layers],
        }
    ]
    blobs = {n: d for n, d in found.items() if n.startswith("blobs/sha256/")}
    assert len(blobs) == 4
    assert all(n.endswith(hashlib.sha256(d).hexdigest()) for n, d in blobs.items())


def test_the_bytes_are_the_same_whenever_and_wherever(tmp_path, store, image):
    one, two = tmp_path / "1.tar", tmp_path / "sub" / "2.tar"
    two.parent.mkdir()
    export(store, image, one)
    old = os.umask(0o077)
    try:
        export(store, image, two, proven={x.blob.digest for x in image.layers})
    finally:
        os.umask(old)
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        for member in archive:
            assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, "")
            assert member.mode == (0o755 if member.isdir() else 0o644)
        assert archive.getnames() == sorted(archive.getnames())


def test_an_image_without_a_name_or_a_layer(tmp_path, store, make_image):
    from builder.images.image import assemble

    image = assemble(make_image().config, ())
    path = tmp_path / "out.tar"
    export(store, image, path, names=())
    found = members(path)
    assert json.loads(found["manifest.json"])[0]["RepoTags"] is None
    assert json.loads(found["manifest.json"])[0]["Layers"] == []
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert "io.containerd.image.name" not in entry["annotations"]


def test_oci_has_no_docker_manifest(tmp_path, store, image):
    path = tmp_path / "out.tar"
    ArchiveExporter(Target(str(path), "oci"), Transfer(store.blobs), docker=False).write(image, NAMES)
    assert "manifest.json" not in members(path)


def test_a_damaged_blob_is_found_out_and_the_old_file_stays(tmp_path, store, image):
    path = tmp_path / "out.tar"
    path.write_bytes(b"old")
    digest = image.layers[1].blob.digest
    blob = tmp_path / "store" / "blobs" / "sha256" / digest.hex
    blob.chmod(0o644)
    blob.write_bytes(bytes(image.layers[1].blob.size))
    with pytest.raises(DigestMismatch):
        export(store, image, path)
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tar", "store"]
    store.blobs.delete(digest)
    with pytest.raises(ImageFault, match="is not in the store"):
        export(store, image, path)
    assert path.read_bytes() == b"old"


def test_bad_destinations_are_refused_before_the_build(tmp_path, store):
    def check(dest, stdout=1):
        ArchiveExporter(Target(str(dest), "docker", stdout), Transfer(store.blobs), docker=True).check()

    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputFault, match=r"folder .* does not exist") as caught:
        check(tmp_path / "no" / "out.tar")
    assert "mkdir -p" in caught.value.hint
    with pytest.raises(OutputFault, match="is a directory"):
        check(tmp_path)
    with pytest.raises(OutputFault, match="is not a directory"):
        check(tmp_path / "file" / "out.tar")
    with pytest.raises(OutputFault, match="dest is required"):
        check("")
    check(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""
    leader, follower = os.openpty()
    try:
        with pytest.raises(OutputFault, match=r"dest file is required for docker exporter. refusing to write to"):
            check("-", follower)
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path, store):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(OutputFault, match="is not writable"):
        ArchiveExporter(Target(str(closed / "out.tar"), "docker"), Transfer(store.blobs), docker=True).check()


@pytest.mark.parametrize("kernel", [False, True])
def test_standard_output(tmp_path, store, image, kernel):
    export(store, image, tmp_path / "file.tar")
    if kernel:
        store.blobs.written.update(x.blob.digest for x in image.layers)
    with open(tmp_path / "out", "wb") as out:
        ArchiveExporter(Target("-", "docker", out.fileno()), Transfer(store.blobs), docker=True).write(image, NAMES)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "file.tar").read_bytes()


def test_links_and_special_files_as_destination(tmp_path, store, image):
    real = tmp_path / "real.tar"
    real.write_bytes(b"old")
    (tmp_path / "link.tar").symlink_to(real)
    export(store, image, tmp_path / "link.tar")
    assert (tmp_path / "link.tar").is_symlink()
    assert tarfile.is_tarfile(real)
    export(store, image, "/dev/null")
    assert not os.path.isfile("/dev/null")


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_skopeo_reads_it(tmp_path, store, image, form):
    path = tmp_path / "out.tar"
    export(store, image, path, names=NAMES[:1])
    out = subprocess.run(["skopeo", "inspect", f"{form}:{path}"], check=True, capture_output=True, text=True).stdout
    seen = json.loads(out)
    assert len(seen["Layers"]) == 2
    if form == "oci-archive":
        assert seen["Digest"] == str(image.descriptor.digest)


@pytest.mark.oracle
@pytest.mark.root
@pytest.mark.skipif(not shutil.which("podman") or os.geteuid() != 0, reason="needs podman and root")
def test_podman(tmp_path, store, image):
    if len(f"{tmp_path}/r") > 50:
        pytest.skip("podman takes no longer run root")
    path = tmp_path / "out.tar"
    export(store, image, path)
    podman = ["podman", f"--root={tmp_path}/p", f"--runroot={tmp_path}/r", "--storage-driver=vfs"]
    subprocess.run([*podman, "load", "-q", "-i", path], check=True, capture_output=True)
    out = subprocess.run([*podman, "image", "inspect", "app:1"], check=True, capture_output=True, text=True).stdout
    (seen,) = json.loads(out)
    assert seen["RootFS"]["Layers"] == [str(x.diff_id) for x in image.layers]
