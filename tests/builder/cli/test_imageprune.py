from __future__ import annotations

import pytest

from builder.cli import main
from builder.cli.imageprune import parse_wanted
from builder.errors import ImageFault
from builder.images.store import ImageStore
from builder.images.uses import mark_used
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store


@pytest.fixture
def images(store):
    return ImageStore(store.root, store.blobs)


@pytest.fixture
def run(store, capsys):
    def call(*args):
        status = main.run(["--root", store.root, "image", "prune", *args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_untagged_images_go_and_the_cache_stays(run, store, images, make_image):
    named, untagged = make_image(), make_image({"u": b"u"}, cmd="u")
    images.tag(Reference.parse("app"), named.descriptor, "")
    images.keep(untagged.descriptor, "")
    blob, _ = store.blobs.put(b"of a step")
    store.index.put_result(Digest.of(b"k"), str(blob).encode(), 0.0)
    status, out, _ = run("-f")
    assert status == 0
    assert out.startswith(f"Deleted Images:\ndeleted: {untagged.id}\n\nTotal reclaimed space: ")
    assert not out.endswith(" 0B\n")
    assert store.blobs.has(blob)
    assert [image.names for image in images.list()] == [("app:latest",)]
    assert run("-f")[1] == "Total reclaimed space: 0B\n"


def test_all_but_what_is_used(run, store, images, make_image):
    used, other = make_image(), make_image({"o": b""}, cmd="o")
    images.tag(Reference.parse("used"), used.descriptor, "")
    images.tag(Reference.parse("a"), other.descriptor, "")
    images.tag(Reference.parse("b"), other.descriptor, "")
    running = Store(store.root)
    with running.using():
        mark_used(running.leases, used.descriptor.digest)
        out = run("-a", "-f")[1]
    assert out.startswith(f"Deleted Images:\nuntagged: a:latest\nuntagged: b:latest\ndeleted: {other.id}\n\n")
    assert [image.names for image in images.list()] == [("used:latest",)]


def test_it_asks_first(run, monkeypatch):
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert run()[0] == 130


def test_until(run, images, make_image):
    old, new = make_image({"o": b""}, cmd="o"), make_image({"n": b""}, cmd="n")
    images.tag(Reference.parse("old"), old.descriptor, "2020-01-01T00:00:00Z")
    images.tag(Reference.parse("new"), new.descriptor, "2020-03-01T00:00:00Z")
    assert "old" in run("-a", "-f", "--filter", "until=2020-02-01T00:00:00Z")[1]
    assert [image.names for image in images.list()] == [("new:latest",)]
    assert "new" not in run("-a", "-f", "--filter", "until=1583020799")[1]
    assert "new" in run("-a", "-f", "--filter", "until=24h")[1]


@pytest.mark.parametrize("texts", [["until"], ["until=soon"], ["dangling=true"], ["until=1h", "until=2h"]])
def test_bad_filters(run, texts):
    with pytest.raises((ImageFault, Fault)):
        parse_wanted(texts, 0.0)
    status, _, err = run("-f", *(word for text in texts for word in ("--filter", text)))
    assert (status, err.startswith("ERROR: ")) == (1, True)


def test_labels(images, make_image):
    image = make_image()
    images.keep(image.descriptor, "2020-01-01T00:00:00Z")
    [stored] = images.list()
    known = type("Known", (), {"labels": {"a": "1"}})()
    assert parse_wanted(["label=a"], 0.0).fits(stored, known)
    assert not parse_wanted(["label=a=2"], 0.0).fits(stored, known)
    assert not parse_wanted(["label!=a"], 0.0).fits(stored, known)
    assert parse_wanted(["label!=a=2", "label=a=1"], 0.0).fits(stored, known)
