"""`manifest inspect` of documents that no honest registry has, and of what is here in part only."""

from __future__ import annotations

import json

import pytest

from builder.cli import main
from builder.cli.manifestjson import indented
from builder.errors import ImageFault
from builder.images.store import ImageStore
from builder.oci.reference import Reference
from tests.memoryregistry import INDEX, MANIFEST, MemoryRegistry, running


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("{}", "{}"),
        ('[ ]', "[]"),
        ('{"a":[],"b":{ }}', '{\n\t"a": [],\n\t"b": {}\n}'),
        ('  {"a" : 1e5, "b":"x\\u003c: {,}\\"" }', '{\n\t"a": 1e5,\n\t"b": "x\\u003c: {,}\\""\n}'),
        ('[1,[2,{"a":null}]]', '[\n\t1,\n\t[\n\t\t2,\n\t\t{\n\t\t\t"a": null\n\t\t}\n\t]\n]'),
        ('"\x9b31m\x7f"', '"\\u009b31m\\u007f"'),
    ],
)  # fmt: skip
def test_blanks_change_and_nothing_else(raw, text):
    assert indented(raw.encode(), "\t") == text
    assert json.loads(text) == json.loads(raw)


def test_nesting_is_bounded():
    with pytest.raises(ImageFault, match="nested"):
        indented(b"[" * 200 + b"]" * 200, "\t")


@pytest.fixture
def inspect(store, capsys):
    def call(*args):
        status = main.run(["--root", store.root, "manifest", "inspect", *args])
        captured = capsys.readouterr()
        assert "internal error" not in captured.err
        return status, captured.out, captured.err

    return call


def test_an_index_of_which_one_platform_is_here(store, inspect, capsys):
    """What is here is read here; the rest is asked for."""
    memory = MemoryRegistry()
    entries = [memory.add_image("app", "", [{"a": b"1"}], architecture=a) for a in ("amd64", "arm64")]
    memory.add_index("app", "1", entries)
    with running(memory) as host:
        name = f"{host}/app:1"
        assert main.run(["--root", store.root, "pull", "--platform=linux/arm64", name]) == 0
        capsys.readouterr()
        memory.server.seen.clear()
        assert len(json.loads(inspect(name)[1])["manifests"]) == 2
        assert memory.server.seen == []
        shown = json.loads(inspect("-v", name)[1])
        assert [one["Descriptor"]["platform"]["architecture"] for one in shown] == ["amd64", "arm64"]
        paths = [seen.path for seen in memory.server.seen if seen.path != "/v2/"]
        assert len(paths) == 2 and paths[0].endswith(entries[0]["digest"])


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": INDEX, "digest": "sha256:" + "a" * 64,
          "size": 5}]}, "unsupported manifest type"),
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "a" * 64,
          "size": 5}]}, "not found"),
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": 7}, "malformed"),
        ({"schemaVersion": 2, "mediaType": MANIFEST, "config": None, "layers": []}, "malformed"),
        ({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {"mediaType": "x",
          "digest": "sha256:" + "a" * 64, "size": 1 << 40}}, "too many"),
    ],
)  # fmt: skip
def test_documents_that_are_refused(inspect, document, error):
    memory = MemoryRegistry()
    memory.add_manifest("app", "1", document)
    with running(memory) as host:
        status, out, err = inspect("-v", f"{host}/app:1")
    assert (status, out) == (1, "")
    assert error in err


def test_a_name_that_is_not_one(inspect):
    assert inspect("Nope")[0] == 1


def test_an_id_is_no_name(store, inspect, make_image):
    image = make_image()
    images = ImageStore(store.root, store.blobs)
    images.tag(Reference.parse("127.0.0.1:1/app:1"), image.descriptor, "2020-09-13T12:26:39Z")
    assert json.loads(inspect("127.0.0.1:1/app:1")[1])["config"]["digest"] == str(image.id)
