"""Indexes that go through `load`, `save`, `push`, `inspect` and `history`, whole and in part."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile

import pytest
import zstandard

from builder.cli import main
from builder.images.image import assemble
from builder.images.index import join
from builder.images.store import ImageStore
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from cache.store import Store
from tests.memoryregistry import CONFIG, INDEX, MANIFEST, MemoryRegistry, digest_of, running

WHEN = "2020-09-13T12:26:39Z"
ARM = Platform("arm64", "linux")
OWN = host()


@pytest.fixture
def run(capsys):
    def call(store, *args):
        status = main.run(["--root", store.root, *map(str, args)])
        captured = capsys.readouterr()
        assert "internal error" not in captured.err
        return status, captured.out, captured.err

    return call


@pytest.fixture
def both(store, make_image):
    """app:1 in the store: an index of images for arm64 and this machine."""
    import msgspec

    made = []
    for platform in (ARM, OWN):
        plain = make_image({"for": str(platform).encode()})
        image = assemble(msgspec.structs.replace(plain.config, platform=platform), plain.layers)
        store.blobs.put(image.config_raw)
        store.blobs.put(image.manifest_raw)
        made.append(image)
    index = join(list(zip((ARM, OWN), made, strict=True)))
    store.blobs.put(index.raw)
    ImageStore(store.root, store.blobs).tag(Reference.parse("app:1"), index.descriptor, WHEN)
    return index, *made


@pytest.fixture
def other(tmp_path):
    return Store(str(tmp_path / "other"))


def has(store, image):
    parts = (image.descriptor, image.manifest.config, *image.manifest.layers)
    return all(store.blobs.has(part.digest, part.size) for part in parts)


def top(store, name="app:1"):
    stored = ImageStore(store.root, store.blobs).resolve(name)
    assert stored is not None
    return stored.descriptor.digest


def test_load_keeps_all_platforms(run, store, both, other, tmp_path):
    index, arm, own = both
    assert run(store, "save", "-o", tmp_path / "a.tar", "app:1")[0] == 0
    assert run(other, "load", "-i", tmp_path / "a.tar")[:2] == (0, "Loaded image: app:1\n")
    assert top(other) == index.descriptor.digest
    assert has(other, arm) and has(other, own)
    assert run(other, "save", "-o", tmp_path / "b.tar", "app:1")[0] == 0
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert run(other, "images", "-q", "--no-trunc")[1] == f"{index.descriptor.digest}\n"


FORMS = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: zstandard.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": lambda data: bz2.compress(data, 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_archive(run, store, both, other, tmp_path, form):
    run(store, "save", "-o", tmp_path / "a.tar", "app:1")
    data = FORMS[form]((tmp_path / "a.tar").read_bytes())
    (tmp_path / "a.tar").write_bytes(data)
    assert run(other, "load", "-i", tmp_path / "a.tar")[1] == "Loaded image: app:1\n"
    (tmp_path / "a.tar").write_bytes(data[: len(data) // 2])
    status, _, err = run(Store(str(tmp_path / "third")), "load", "-i", tmp_path / "a.tar")
    assert status == 1 and "ERROR" in err


def test_save_of_one_platform_and_load_of_it(run, store, both, other, tmp_path):
    _, arm, own = both
    assert run(store, "save", "--platform", "linux/arm64/v8", "-o", tmp_path / "a.tar", "app:1")[0] == 0
    with tarfile.open(tmp_path / "a.tar") as archive:
        (entry,) = json.load(archive.extractfile("index.json"))["manifests"]
    assert entry["digest"] == str(arm.descriptor.digest)
    assert run(other, "load", "--platform", "linux/arm64", "-i", tmp_path / "a.tar")[0] == 0
    assert top(other) == arm.descriptor.digest and not has(other, own)
    status, _, err = run(store, "load", "--platform", "linux/s390x", "-i", tmp_path / "a.tar")
    assert status == 1 and "app:1 doesn't provide the requested platform (linux/s390x)" in err
    status, _, err = run(store, "save", "--platform", "linux/s390x", "-o", tmp_path / "b.tar", "app:1")
    assert status == 1 and "does not provide the specified platform (linux/s390x)" in err
    assert not (tmp_path / "b.tar").exists()
    assert run(store, "save", "--platform", "bogus", "-o", tmp_path / "b.tar", "app:1")[0] == 1


def test_load_of_one_platform_of_an_index(run, store, both, other, tmp_path):
    index, arm, own = both
    run(store, "save", "-o", tmp_path / "a.tar", "app:1")
    assert run(other, "load", "--platform", "linux/arm64", "-i", tmp_path / "a.tar")[0] == 0
    assert top(other) == index.descriptor.digest
    assert has(other, arm) and not other.blobs.has(own.descriptor.digest)
    # What is here is shown, though it is for another machine.
    (shown,) = json.loads(run(other, "inspect", "app:1")[1])
    assert shown["Architecture"] == "arm64"
    assert run(other, "history", "-q", "--no-trunc", "app:1")[1] == f"{arm.id}\n"


def test_save_of_several_platforms_writes_the_index_with_these(run, store, both, other, tmp_path):
    index, arm, own = both
    words = f"linux/arm64,{OWN}"
    assert run(store, "save", "--platform", words, "-o", tmp_path / "a.tar", "app:1")[0] == 0
    assert run(other, "load", "-i", tmp_path / "a.tar")[0] == 0
    assert top(other) == index.descriptor.digest and has(other, arm) and has(other, own)


def test_an_index_of_which_a_part_is_in_the_archive(run, store, both, other, tmp_path):
    """As Docker saves one that it has pulled for one platform."""
    index, arm, own = both
    run(store, "save", "-o", tmp_path / "a.tar", "app:1")
    with tarfile.open(tmp_path / "a.tar") as whole, tarfile.open(tmp_path / "b.tar", "w") as part:
        for member in whole:
            if own.descriptor.digest.hex not in member.name and own.id.hex not in member.name:
                part.addfile(member, whole.extractfile(member) if member.isfile() else None)
    assert run(other, "load", "-i", tmp_path / "b.tar")[0] == 0
    assert top(other) == index.descriptor.digest
    assert has(other, arm) and not other.blobs.has(own.descriptor.digest)


def test_an_index_that_names_an_index_a_thousand_times(run, other, tmp_path):
    """Each is read once, however many ways lead to it."""
    folder = tmp_path / "layout"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def put(document):
        raw = json.dumps(document).encode()
        (folder / "blobs" / "sha256" / digest_of(raw)[7:]).write_bytes(raw)
        return {"mediaType": document["mediaType"], "digest": digest_of(raw), "size": len(raw)}

    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "mediaType": CONFIG}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": put(config)}
    entry = put(manifest)
    for _ in range(3):
        entry = put({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 1000})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(folder, ".")
    status, out, err = run(other, "load", "-i", tmp_path / "a.tar")
    assert (status, out) == (0, f"Loaded image ID: {entry['digest']}\n"), err


def test_inspect_and_history_of_a_platform(run, store, both):
    _, arm, own = both
    for platform, image in (("linux/arm64", arm), (str(OWN), own)):
        (shown,) = json.loads(run(store, "inspect", "--platform", platform, "app:1")[1])
        assert (shown["Id"], shown["Architecture"]) == (str(image.id), image.config.platform.architecture)
        assert run(store, "history", "--platform", platform, "-q", "--no-trunc", "app:1")[1] == f"{image.id}\n"
    for command in ("inspect", "history"):
        status, _, err = run(store, command, "--platform", "linux/s390x", "app:1")
        assert status == 1
        assert "image with reference app:1 was found but does not provide the specified platform (linux/s390x)" in err


def test_image_inspect_looks_for_images(run, store, both):
    status, out, err = run(store, "image", "inspect", "nope")
    assert (status, out, err) == (1, "[]\n", "ERROR: No such image: nope:latest\n")
    assert run(store, "image", "inspect", "-s", "app:1")[2] == "WARNING: --size ignored for image\n"


class TestPush:
    def pulled(self, run, other, memory, host, platform="linux/arm64"):
        entries = [
            memory.add_image("from", "", [{"a": name.encode()}], architecture=name) for name in ("amd64", "arm64")
        ]
        index = memory.add_index("from", "1", entries)
        assert run(other, "pull", "-q", "--platform", platform, f"{host}/from:1")[0] == 0
        assert run(other, "tag", f"{host}/from:1", f"{host}/to:1")[0] == 0
        return index, entries

    def test_of_an_index_the_only_image(self, run, other):
        memory = MemoryRegistry()
        with running(memory) as host:
            index, entries = self.pulled(run, other, memory, host)
            status, out, err = run(other, "push", f"{host}/to:1")
            assert status == 0, err
            assert memory.tags["to", "1"] == entries[1]["digest"]
            assert "Mounted from from" in out
            assert out.splitlines()[-1] == f"1: digest: {entries[1]['digest']} size: {entries[1]['size']}"
            assert "only the available single-platform image was pushed" in err
            assert f"{index['digest']} -> {entries[1]['digest']}" in err

    def test_an_index_whose_other_images_the_registry_has(self, run, other):
        memory = MemoryRegistry()
        with running(memory) as host:
            index, entries = self.pulled(run, other, memory, host)
            memory.manifests["to", entries[0]["digest"]] = memory.manifests["from", entries[0]["digest"]]
            status, _, err = run(other, "push", f"{host}/to:1")
            assert (status, err) == (0, "")
            assert memory.tags["to", "1"] == index["digest"]

    def test_a_platform(self, run, store, both):
        index, arm, _ = both
        memory = MemoryRegistry()
        with running(memory) as host:
            run(store, "tag", "app:1", f"{host}/app:1")
            assert run(store, "push", "--platform", "linux/arm64", f"{host}/app:1")[0] == 0
            assert memory.tags["app", "1"] == str(arm.descriptor.digest)
            status, _, err = run(store, "push", "--platform", "linux/s390x", f"{host}/app:1")
            assert status == 1 and "does not provide the specified platform" in err
            assert run(store, "push", f"{host}/app:1")[0] == 0
            assert memory.tags["app", "1"] == str(index.descriptor.digest)

    def test_of_several_images_none_for_this_machine(self, run, other):
        memory = MemoryRegistry()
        with running(memory) as host:
            names = [name for name in ("s390x", "ppc64le", "riscv64") if name != OWN.architecture]
            entries = [memory.add_image("from", "", [{"a": b"x"}], architecture=name) for name in names]
            memory.add_index("from", "1", entries)
            for name in names[:2]:
                assert run(other, "pull", "-q", "--platform", f"linux/{name}", f"{host}/from:1")[0] == 0
            run(other, "tag", f"{host}/from:1", f"{host}/to:1")
            status, _, err = run(other, "push", f"{host}/to:1")
            assert status == 1 and "no specific platform requested" in err
            assert ("to", "1") not in memory.tags
