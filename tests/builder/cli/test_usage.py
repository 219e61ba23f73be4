"""du, prune and system df on a store of small things."""

from __future__ import annotations

import json

import pytest

from builder.cli import main
from builder.images.store import ImageStore
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.store import Store


@pytest.fixture
def run(store, capsys, monkeypatch):
    monkeypatch.setattr("builder.sandbox.namespace.enter", lambda: None)

    def call(*args):
        status = main.run(["--root", store.root, *args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def app(store, make_image):
    image = make_image()
    images = ImageStore(store.root, store.blobs)
    images.tag(Reference.parse("app:1"), image.descriptor, "2020-09-13T12:26:39Z")
    blob, _ = store.blobs.put(b"cached" * 10_000)
    store.index.put_result(Digest.of(b"k"), str(blob).encode(), 1_000_000_000.0, "[2/3] RUN \x1b[2J make")
    return image


def record_of(run, *filters):
    status, out, err = run("du", "--format=json", *filters)
    assert status == 0, err
    [line] = out.splitlines()
    return json.loads(line)


def test_a_record(run, app, store):
    found = record_of(run, "--filter", "description~=make")
    assert found["Description"] == "[2/3] RUN  make"
    assert found["Size"] == "61.44kB"
    assert (found["Mutable"], found["Shared"], found["Reclaimable"]) == (False, False, True)
    assert (found["UsageCount"], found["Type"], found["Parents"]) == (1, "regular", None)
    assert found["LastUsedAt"].endswith("years ago")
    assert found["CreatedAt"].startswith("2001-09-09 ")
    assert list(found) == sorted(found)
    shared = record_of(run, "--filter", f"id={app.id.hex[:25]}")
    assert (shared["Shared"], shared["Reclaimable"], shared["KeptFor"]) == (True, False, ["image app:1"])


def test_the_forms_of_du(run, app):
    assert run("du")[1].splitlines()[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert [line.partition(":")[0] for line in run("du")[1].splitlines()[-4:]] == [
        "Shared", "Private", "Reclaimable", "Total",
    ]  # fmt: skip
    pretty = run("du", "--verbose", "--filter", "description~=make")[1]
    assert "Reclaimable:  true\nShared:       false\nSize:         61.44kB\n" in pretty
    assert "Total" not in pretty
    assert run("du", "--format", "{{.Type}}", "--filter", "description~=make")[1] == "regular\n"
    assert run("du", "--format", "x", "--verbose")[0] == 1


@pytest.mark.parametrize("args", [["--filter", "x"], ["--format", "{{.Nope}}"], ["--format", "{{"]])
def test_bad_options_of_du(run, app, args):
    status, _, err = run("du", *args)
    assert status in (1, 64)
    assert "internal error" not in err


def test_prune_asks_first(run, app, monkeypatch):
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert run("prune")[0] == 130
    assert record_of(run, "--filter", "description~=make")


def test_prune_says_what_went(run, app, store):
    status, out, _ = run("prune", "-f")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert lines[1].split()[1:3] == ["true", "61.44kB"]
    assert lines[-1] == "Total:\t61.44kB"
    assert run("prune", "-f")[1] == "Total:\t0B\n"
    assert len(store.blobs.digests()) == 3


def test_prune_verbose_and_the_old_name_of_a_limit(run, app):
    status, out, err = run("prune", "-f", "--verbose", "--keep-storage", "1gb")
    assert (status, out) == (0, "Total:\t0B\n")
    assert "deprecated" in err
    out = run("prune", "-f", "--verbose")[1]
    assert "Description:\t[2/3] RUN  make\n" in out
    assert "Mutable:\tfalse\n" in out


@pytest.mark.parametrize(
    "args",
    [
        ["--max-used-space", "much"],
        ["--filter", "id"],
        ["--keep-duration", "1w"],
        ["--filter", "until=1h", "--filter", "until=2h"],
    ],
)
def test_bad_options_of_prune(run, app, args):
    status, out, err = run("prune", "-f", *args)
    assert (status, out) == (1, "")
    assert err.startswith("ERROR: ")


def test_df(run, app, store):
    rows = [json.loads(line) for line in run("system", "df", "--format=json")[1].splitlines()]
    assert [row["Type"] for row in rows] == ["Images", "Containers", "Local Volumes", "Build Cache"]
    assert rows[0] == {
        "Active": "0", "Reclaimable": "12.29kB (100%)", "Size": "12.29kB", "TotalCount": "1", "Type": "Images",
    }  # fmt: skip
    assert run("system", "df")[1].splitlines()[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    out = run("system", "df", "-v")[1]
    assert out.startswith("Images space usage:\n\nREPOSITORY   TAG")
    assert "\nBuild cache usage: " in out
    assert run("system", "df", "-v", "--format", "{{range .Images}}{{.Repository}}:{{.Tag}}{{end}}")[1] == "app:1"
    assert json.loads(run("system", "df", "-v", "--format=json")[1])["Volumes"] == []


def test_all_is_there_beside_a_command_that_uses_it(run, app, store):
    other = Store(store.root)
    blob = next(blob for blob in other.blobs.digests() if other.blobs.size(blob) == 60_000)
    with other.using():
        assert other.blobs.has(blob)
        found = record_of(run, "--filter", "inuse", "--filter", "description~=make")
        assert (found["Reclaimable"], found["ID"]) == (False, blob.hex[:25])
        assert run("prune", "-a", "-f")[0] == 0
    assert store.blobs.has(blob)
