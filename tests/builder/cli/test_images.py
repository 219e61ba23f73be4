from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder.cli import main
from builder.images.store import ImageStore
from builder.oci.reference import Reference

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
    assert run("images") == (0, "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n", "")
    assert run("images", "-q") == (0, "", "")


@pytest.mark.parametrize(
    ("args", "count"),
    [(["app"], 1), (["app:1"], 1), (["app:2"], 0), (["docker.io/library/app"], 1), (["ghcr.io/x/y"], 1), (["y"], 0)],
)
def test_filters(run, app, args, count):
    assert len(run("images", *args)[1].splitlines()) == 1 + count


def test_other_forms(run, app, images, make_image):
    assert run("images", "-q")[1] == f"{app.id.short}\n" * 2
    assert run("images", "-q", "--no-trunc")[1] == f"{app.id}\n" * 2
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


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (["-f", "reference=app"], ["app:1"]),
        (["-f", "reference=*"], ["app:1"]),
        (["-f", "reference=*/*/*:2"], ["ghcr.io/x/y:2"]),
        (["-f", "reference=a?p:[0-9]"], ["app:1"]),
        (["-f", "reference=app", "-f", "reference=ghcr.io/*/y"], ["app:1", "ghcr.io/x/y:2"]),
        (["gh*/x/y"], ["ghcr.io/x/y:2"]),
        (["-f", "dangling=true"], ["<none>:<none>"]),
        (["-f", "dangling=false"], ["app:1", "ghcr.io/x/y:2"]),
        (["-f", "label=none"], []),
        (["-f", "since=app:1", "-a"], ["<none>:<none>"]),
        (["-f", "before=app:1"], []),
        (["-f", "until=2020-09-13"], []),
        (["-f", "until=2020-09-13T12:27:00Z"], ["app:1", "ghcr.io/x/y:2"]),
        (["-f", "until=1h30m"], ["app:1", "ghcr.io/x/y:2"]),
        (["-f", "until=1599999999"], []),
        (["-f", "until=1h", "-f", "until=1600000000", "-a"], ["app:1", "ghcr.io/x/y:2"]),
    ],
)
def test_filters_by_key(run, app, images, make_image, args, names):
    images.keep(make_image(cmd="untagged").descriptor, "2021-01-01T00:00:00Z")
    assert run("images", "--format", "{{.Repository}}:{{.Tag}}", *args)[1].splitlines() == names


def test_wrong_filters_and_templates(run, app):
    assert "invalid filter 'x'" in run("images", "-f", "x=y")[2]
    assert "invalid filter 'x'" in run("images", "-f", "x")[2]
    assert "expects a duration" in run("images", "-f", "until=soon")[2]
    assert "syntax error in pattern" in run("images", "-f", "reference=[")[2]
    status, out, err = run("images", "--format", "{{.Nope}}")
    assert (status, out) == (1, "")
    assert err.startswith("ERROR: template parsing error: template: :1:2: executing")


def test_templates_of_images(run, app):
    assert (
        run("images", "--format", r"table {{.Repository}}\t{{.Tag}}", "app")[1] == "REPOSITORY   TAG\napp          1\n"
    )
    assert run("images", "--format", "{{upper .Repository}}", "app")[1] == "APP\n"


def test_json_is_that_of_go(run, app, images, make_image):
    images.keep(make_image(cmd="untagged").descriptor, "2021-01-01T00:00:00Z")
    lines = run("images", "-a", "--format", "json")[1].splitlines()
    assert lines == run("images", "-a", "--format", "{{json .}}")[1].splitlines()
    assert '"Repository":"\\u003cnone\\u003e"' in lines[0] and "<" not in lines[0]
    assert run("inspect", "-f", "{{json .RepoTags}}<>", "app:1")[1] == '["app:1","ghcr.io/x/y:2"]<>\n'


def test_labels(run, images, store, make_image):
    import msgspec

    from builder.images.image import assemble
    from builder.oci.config import RuntimeConfig

    plain = make_image()
    config = msgspec.structs.replace(plain.config, runtime=RuntimeConfig(labels=(("a", "1"),)))
    labelled = assemble(config, plain.layers)
    for raw in (labelled.config_raw, labelled.manifest_raw):
        store.blobs.put(raw)
    images.tag(Reference.parse("l"), labelled.descriptor, WHEN)
    for filters, count in ((["label=a"], 1), (["label=a=1"], 1), (["label=a=2"], 0), (["label=a", "label=b"], 0)):
        args = [word for text in filters for word in ("-f", text)]
        assert len(run("images", "-q", *args)[1].splitlines()) == count
    assert len(run("images", "-q", "-f", "label=a")[1].splitlines()) == 1  # as remembered


def test_inspect(run, app):
    status, out, _ = run("inspect", "app:1")
    assert status == 0
    (shown,) = json.loads(out)
    assert shown["Id"] == str(app.id)
    assert shown["RepoTags"] == ["app:1", "ghcr.io/x/y:2"]
    assert shown["Config"]["Cmd"] == ["/bin/true"]
    assert shown["RootFS"] == {"Type": "layers", "Layers": [str(d) for d in app.config.diff_ids]}
    assert run("inspect", "-f", "{{index .Config.Cmd 0}} {{json .Config.Env}}", "app:1")[1] == "/bin/true null\n"
    assert run("inspect", "-f", "{{.Nope}}", "app:1")[0] == 1
    assert run("inspect", "-f", "{{", "app:1")[0] == 64
    status, out, err = run("inspect", "nope")
    assert (status, out, err) == (1, "[]\n", "ERROR: No such object: nope\n")
    assert run("inspect", "--type", "container", "app:1")[0] == 1
    assert json.loads(run("inspect", "-f", "json", app.id.hex[:12])[1])[0]["Id"] == str(app.id)


def test_history(run, app):
    status, out, _ = run("history", "app:1")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert lines[1].startswith(app.id.short)
    assert "COPY x /" in lines[1]
    assert " 6B " in lines[1]
    assert run("history", "-q", "--no-trunc", "app:1")[1] == f"{app.id}\n"
    assert run("history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", "app:1")[1] == "6 COPY x /\n"
    assert run("history", "nope")[0] == 1


def test_save_and_load(run, app, images, store, make_image, tmp_path):
    other = make_image({"x": b"y"}, cmd="/x")
    images.tag(Reference.parse("app:2"), other.descriptor, WHEN)
    assert run("save", "-o", str(tmp_path / "a.tar"), "app", "ghcr.io/x/y:2")[0] == 0
    status, out, _ = run_in(tmp_path / "s2", "load", "-i", str(tmp_path / "a.tar"))
    assert status == 0
    assert sorted(out.splitlines()) == [f"Loaded image: {n}" for n in ("app:1", "app:2", "ghcr.io/x/y:2")]
    assert run("save", "-o", str(tmp_path / "b.tar"), str(app.id))[0] == 0
    assert run_in(tmp_path / "s3", "load", "-i", str(tmp_path / "b.tar"))[1] == f"Loaded image ID: {app.id}\n"
    assert run("save", "-o", str(tmp_path / "c.tar"), "nope")[0] == 1
    assert not (tmp_path / "c.tar").exists()


def run_in(root, *args):
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main.run(["--root", str(root), *args])
    return status, out.getvalue(), err.getvalue()


def test_a_cut_archive_leaves_the_store_as_it_was(run, app, tmp_path):
    archive = tmp_path / "a.tar"
    assert run("save", "-o", str(archive), "app:1")[0] == 0
    data = archive.read_bytes()
    root = tmp_path / "other"
    assert run_in(root, "images")[0] == 0
    for cut in range(0, len(data) - 1024, max(len(data) // 40, 1)):
        archive.write_bytes(data[:cut])
        status, _, err = run_in(root, "load", "-i", str(archive))
        assert status == 1, cut
        assert "internal error" not in err
        assert os.listdir(root / "blobs" / "sha256") == []
        assert os.listdir(root / "tmp") == []
        assert run_in(root, "images", "-a", "-q")[1] == ""


def test_a_damaged_archive_leaves_the_store_as_it_was(run, app, tmp_path):
    archive = tmp_path / "a.tar"
    assert run("save", "-o", str(archive), "app:1")[0] == 0
    data = bytearray(archive.read_bytes())
    place = data.index(b"\x1f\x8b") + 20
    data[place] ^= 1
    archive.write_bytes(data)
    status, out, err = run_in(tmp_path / "other", "load", "-i", str(archive))
    assert (status, out) == (1, "")
    assert "ERROR: " in err
    assert os.listdir(tmp_path / "other" / "blobs" / "sha256") == []


def test_load_of_what_has_only_repositories(tmp_path):
    import io
    import tarfile

    def member(archive, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as inner:
        member(inner, "hello", b"hi\n")
    base, top = "a" * 64, "b" * 64
    documents = {
        base: {"id": base, "created": "2015-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "ADD"]}},
        top: {"id": top, "parent": base, "created": "2015-01-02T00:00:00Z", "os": "linux", "architecture": "amd64",
              "config": {"Cmd": ["/hello"], "Env": ["A=1"]}},
    }  # fmt: skip
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        for id, document in documents.items():
            member(archive, f"{id}/VERSION", b"1.0")
            member(archive, f"{id}/json", json.dumps(document).encode())
            member(archive, f"{id}/layer.tar", layer.getvalue())
        member(archive, "repositories", json.dumps({"old": {"1": top}}).encode())
    root = tmp_path / "s"
    assert run_in(root, "load", "-i", str(tmp_path / "old.tar"))[:2] == (0, "Loaded image: old:1\n")
    (shown,) = json.loads(run_in(root, "inspect", "old:1")[1])
    assert shown["Config"]["Cmd"] == ["/hello"]
    assert len(shown["RootFS"]["Layers"]) == 2
    told = run_in(root, "history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "old:1")[1]
    assert told == "|\n/bin/sh -c ADD|\n"
