from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard

from builder.errors import BuildFault, ImageFault, SourceFault
from builder.export.archive import ArchiveExporter
from builder.export.target import Target
from builder.export.transfer import Transfer
from builder.images.archive import import_archive
from builder.images.store import ImageStore
from builder.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from builder.oci.platform import host
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store


@pytest.fixture
def other(tmp_path):
    """Another, empty store."""
    return Store(str(tmp_path / "other"))


def plain_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


LAYER = plain_tar({"hello": b"hello\n"})


def config_of(*layers, **more):
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    return json.dumps(
        {"architecture": host().architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **more}
    ).encode()


def saved(**replaced):
    """What an old `docker save` writes; replace or drop (None) members."""
    members = {
        "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["old:1"], "Layers": ["l1/layer.tar"]}]).encode(),
        "c.json": config_of(LAYER, x_unknown="kept"),
        "l1/layer.tar": LAYER,
        "repositories": b"{}",
    }
    members |= replaced
    return {name: data for name, data in members.items() if data is not None}


def write(path, members, compress=lambda data: data):
    path.write_bytes(compress(plain_tar(members)))
    return str(path)


def loaded(store, descriptor):
    return ImageStore(store.root, store.blobs).load(descriptor)


@pytest.mark.parametrize(
    "compress",
    [lambda d: d, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstd"],
)
def test_an_old_docker_archive_however_compressed(tmp_path, other, compress):
    descriptor = import_archive(write(tmp_path / "a.tar", saved(), compress), other.blobs, host())
    image = loaded(other, descriptor)
    assert image.config_raw == saved()["c.json"]
    (layer,) = image.layers
    assert layer.diff_id == Digest.of(LAYER) == layer.blob.digest
    assert layer.blob.media_type == OCI_LAYER
    assert other.blobs.read(layer.blob.digest) == LAYER


@pytest.mark.parametrize(
    ("compress", "media"),
    [(gzip.compress, OCI_LAYER_GZIP), (zstandard.ZstdCompressor().compress, OCI_LAYER_ZSTD)],
    ids=["gzip", "zstd"],
)
def test_compressed_layers_are_kept_as_they_are(tmp_path, other, compress, media):
    stored = compress(LAYER)
    image = loaded(
        other, import_archive(write(tmp_path / "a.tar", saved(**{"l1/layer.tar": stored})), other.blobs, host())
    )
    (layer,) = image.layers
    assert (layer.diff_id, layer.blob.digest, layer.blob.media_type) == (Digest.of(LAYER), Digest.of(stored), media)


def test_a_layer_that_is_a_link_to_another(tmp_path, other):
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["l2/layer.tar", "l1/layer.tar"]}]
    members = saved(
        **{
            "manifest.json": json.dumps(manifest).encode(),
            "c.json": config_of(LAYER, LAYER),
            "l2/layer.tar": "../l1/layer.tar",
        }
    )
    image = loaded(other, import_archive(write(tmp_path / "a.tar", members), other.blobs, host()))
    assert [layer.blob.digest for layer in image.layers] == [Digest.of(LAYER)] * 2


def test_one_of_several_images_by_its_name(tmp_path, other):
    two = plain_tar({"two": b"2"})
    entries = [
        {"Config": "c.json", "RepoTags": ["one:1"], "Layers": ["l1/layer.tar"]},
        {"Config": "d.json", "RepoTags": ["two:1"], "Layers": ["l2/layer.tar"]},
    ]
    members = saved(**{"manifest.json": json.dumps(entries).encode(), "d.json": config_of(two), "l2/layer.tar": two})
    path = write(tmp_path / "a.tar", members)
    assert loaded(other, import_archive(path, other.blobs, host(), "two:1")).layers[0].diff_id == Digest.of(two)
    with pytest.raises(SourceFault, match="holds several images") as caught:
        import_archive(path, other.blobs, host())
    assert "one:1, two:1" in caught.value.hint


def test_our_own_tar_keeps_its_manifest(tmp_path, make_image, store, other):
    image = make_image({"a": b"1"}, {"b": b"2"})
    path = tmp_path / "own.tar"
    ArchiveExporter(Target(str(path), "docker"), Transfer(store.blobs), docker=True).write(
        image, (Reference.parse("app:1"), Reference.parse("app:2"))
    )
    descriptor = import_archive(str(path), other.blobs, host())
    assert descriptor.digest == image.descriptor.digest
    assert loaded(other, descriptor) == loaded(store, descriptor)


def bomb():
    return gzip.compress(bytes(200 << 20), 9)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "neither manifest.json nor oci-layout"),
        (saved(**{"manifest.json": b"not json"}), "manifest.json is malformed"),
        (saved(**{"manifest.json": b"[]"}), "is empty"),
        (saved(**{"manifest.json": b'[{"Config": 1}]'}), "manifest.json is malformed"),
        (saved(**{"manifest.json": b" " * (5 << 20)}), "manifest.json is larger than"),
        (saved(**{"manifest.json": b"[" * 100_000}), "malformed"),
        (saved(**{"manifest.json": "manifest.json"}), "neither manifest.json"),
        (saved(**{"c.json": None}), "c.json is missing"),
        (saved(**{"c.json": b"[]"}), "malformed"),
        (saved(**{"c.json": b"{" * 100_000}), "malformed"),
        (saved(**{"c.json": config_of()}), "has 1 layers, the config names 0"),
        (saved(**{"c.json": config_of(b"other")}), "is not the layer"),
        (saved(**{"l1/layer.tar": None}), "l1/layer.tar is missing"),
        (saved(**{"l1/layer.tar": "l1/layer.tar"}), "l1/layer.tar is missing"),
        (saved(**{"l1/layer.tar": "../../../../etc/passwd"}), "l1/layer.tar is missing"),
        (saved(**{"l1/layer.tar": gzip.compress(LAYER)[:-9]}), "l1/layer.tar"),
        (saved(**{"l1/layer.tar": bz2.compress(LAYER)}), "compressed with bzip2"),
    ],
)
def test_a_bad_archive_is_a_clear_fault(tmp_path, other, members, words):
    path = write(tmp_path / "bad.tar", members)
    with pytest.raises(BuildFault, match=words) as caught:
        import_archive(path, other.blobs, host())
    assert "bad.tar" in caught.value.message or "malformed" in words


@pytest.mark.parametrize(
    "data",
    [b"", b"junk" * 1000, b"\x1f\x8b" + b"\0" * 100, plain_tar(saved())[:1000], bomb()],
    ids=["empty", "junk", "no-gzip", "cut", "bomb"],
)
def test_what_is_no_archive_is_a_clear_fault(tmp_path, other, data):
    path = tmp_path / "bad.tar"
    path.write_bytes(data)
    with pytest.raises((SourceFault, ImageFault), match=r"bad\.tar"):
        import_archive(str(path), other.blobs, host())
    assert other.blobs.digests() == []


def test_a_path_that_is_no_file(tmp_path, other):
    for path in (tmp_path, tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(SourceFault, match="not a file"):
            import_archive(str(path), other.blobs, host())


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_what_skopeo_writes_as_docker_archive(tmp_path, store, make_image, other):
    image = make_image({"a": b"1"}, {"b": b"2"})
    ImageStore(store.root, store.blobs).tag(Reference.parse("app:1"), image.descriptor, "")
    path = tmp_path / "skopeo.tar"
    subprocess.run(
        ["skopeo", "copy", "-q", f"oci:{store.root}:app:1", f"docker-archive:{path}:app:1"],
        check=True,
        capture_output=True,
    )
    got = loaded(other, import_archive(str(path), other.blobs, host()))
    assert [x.diff_id for x in got.layers] == [x.diff_id for x in image.layers]
    assert got.config.runtime == image.config.runtime


def test_nothing_of_a_refused_archive_can_be_used(tmp_path, other):
    path = write(tmp_path / "bad.tar", saved(**{"c.json": config_of(b"other")}))
    with pytest.raises(Fault):
        import_archive(path, other.blobs, host())
    assert other.blobs.digests() == []
