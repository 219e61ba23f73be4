from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from builder.cli import main
from builder.cli.images import _ago
from builder.images.store import ImageStore
from builder.oci.reference import Reference

NOW = 1_600_000_000.0
WHEN = "2020-09-13T12:26:39Z"


@pytest.fixture
def images(store):
    return ImageStore(store.root, store.blobs)


@pytest.fixture
def run(store, capsys):
    def call(*args):
        status = main.run(["--root", store.root, *args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def app(images, make_image):
    image = make_image()
    images.tag(Reference.parse("app:1"), image.descriptor, WHEN)
    images.tag(Reference.parse("ghcr.io/x/y:2"), image.descriptor, WHEN)
    return image


def test_the_table(run, app):
    status, out, _ = run("images")
    lines = [line.split() for line in out.splitlines()]
    assert status == 0
    assert lines[0] == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1][:3] == ["app", "1", app.id.short]
    assert lines[2][:3] == ["ghcr.io/x/y", "2", app.id.short]
    assert "years ago" in out


def test_an_empty_store(run):
    assert run("images") == (0, "REPOSITORY   TAG   IMAGE ID   CREATED   SIZE\n", "")
    assert run("images", "-q") == (0, "", "")


@pytest.mark.parametrize(
    ("args", "count"),
    [(["app"], 1), (["app:1"], 1), (["app:2"], 0), (["docker.io/library/app"], 1), (["ghcr.io/x/y"], 1), (["y"], 0)],
)
def test_filters(run, app, args, count):
    assert len(run("images", *args)[1].splitlines()) == 1 + count


def test_other_forms(run, app, images, make_image):
    assert run("images", "-q")[1] == f"{app.id.short}\n"
    assert run("images", "-q", "--no-trunc")[1] == f"{app.id}\n"
    assert str(app.descriptor.digest) in run("images", "--digests")[1]
    rows = [json.loads(line) for line in run("images", "--format", "json")[1].splitlines()]
    assert [(r["Repository"], r["Tag"], r["ID"]) for r in rows] == [
        ("app", "1", app.id.short),
        ("ghcr.io/x/y", "2", app.id.short),
    ]
    images.keep(make_image(cmd="untagged").descriptor, WHEN)
    assert "<none>" not in run("images")[1]
    assert run("images", "-a")[1].count("<none>   ") == 2


def test_a_damaged_image_is_listed_with_a_warning(run, app, store):
    Path(store.blobs.path(app.descriptor.digest)).write_bytes(b"{}")
    status, out, err = run("images")
    assert status == 0
    assert out.count(app.descriptor.digest.short) == 2
    assert "WARNING: blob" in err


def test_a_damaged_index_is_reported(run, app, store):
    Path(store.path("index.json")).write_bytes(b"junk")
    status, out, err = run("images")
    assert status == 0
    assert "app" in out
    assert "WARNING:" in err
    assert "restored" in err


def test_tag_and_rmi(run, app, store):
    assert run("tag", "app:1", "new")[0] == 0
    assert run("tag", "nope", "new")[0] == 1
    assert run("rmi", "app:1", "ghcr.io/x/y:2") == (0, "Untagged: app:1\nUntagged: ghcr.io/x/y:2\n", "")
    assert store.blobs.has(app.descriptor.digest)
    assert run("rmi", "new") == (0, f"Untagged: new:latest\nDeleted: {app.id}\n", "")
    assert store.blobs.digests() == []
    status, _, err = run("rmi", "new")
    assert (status, err) == (1, "ERROR: No such image: new:latest\n")
    assert run("rmi", "-f", "new")[0] == 0


def test_rmi_beside_a_running_build_leaves_the_blobs(run, app, store):
    with store.lock():
        assert run("rmi", "-f", str(app.id))[0] == 0
    assert store.blobs.has(app.descriptor.digest)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second ago"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "About a minute ago"),
        (3599, "59 minutes ago"), (3600, "About an hour ago"), (47 * 3600, "47 hours ago"), (2 * 86400, "2 days ago"),
        (14 * 86400, "2 weeks ago"), (60 * 86400, "2 months ago"), (800 * 86400, "2 years ago"),
        (-5, "Less than a second ago"),
    ],
)  # fmt: skip
def test_ages(seconds, words):
    assert _ago("2020-09-13T12:26:40Z", NOW + seconds) == words


def test_an_age_that_is_none():
    assert _ago("", NOW) == _ago("yesterday", NOW) == "N/A"


@pytest.mark.skipif(not Path("builder/sandbox/namespace.py").exists(), reason="prune needs the sandbox")
class TestPrune:
    def test_it_asks_first(self, run, app, monkeypatch):
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
        assert run("prune", "--all")[0] == 130

    def test_it_waits_for_no_build(self, run, app, store, monkeypatch):
        monkeypatch.setattr("builder.sandbox.namespace.enter", lambda: None)
        fd = os.open(store.path("store.lock"), os.O_RDWR | os.O_CREAT)
        fcntl.flock(fd, fcntl.LOCK_SH)
        status, _, err = run("prune", "--all", "--force")
        os.close(fd)
        assert status == 1
        assert "in use by a running build" in err

    def test_it_keeps_tagged_images(self, run, app, store, make_image, monkeypatch):
        monkeypatch.setattr("builder.sandbox.namespace.enter", lambda: None)
        make_image(cmd="not tagged")
        status, out, _ = run("prune", "--all", "--force")
        assert status == 0
        assert "Total reclaimed space: " in out
        assert set(store.blobs.digests()) == {app.descriptor.digest, app.id, app.layers[0].blob.digest}
