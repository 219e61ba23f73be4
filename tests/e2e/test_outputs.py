"""Where a build's result can go."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder

pytestmark = pytest.mark.e2e


@pytest.fixture
def context(tmp_path: Path) -> Path:
    text = "FROM base AS all\nRUN echo hi > /hi\nFROM scratch\nCOPY --from=all /hi /d/hi\nCOPY x /\n"
    return folder(tmp_path / "context", {"Dockerfile": text, "x": "x\n"})


def test_docker(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(context, "-t", "a:1", "-t", "b", "-o", f"type=docker,dest={tmp_path}/a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        names = tar.getnames()
    assert manifest[0]["RepoTags"] == ["a:1", "b:latest"]
    assert {"oci-layout", "index.json", "manifest.json"} <= set(names)
    assert set(flatten(tmp_path / "a.tar").files) == {"d", "d/hi", "x"}


def test_oci_archive_and_folder(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(
        context,
        "-t",
        "a:1",
        "-o",
        f"type=oci,dest={tmp_path}/a.tar",
        "-o",
        f"type=oci,tar=false,dest={tmp_path}/layout",
    )
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    assert json.loads((tmp_path / "layout" / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    algorithm, _, name = index["manifests"][0]["digest"].partition(":")
    assert (tmp_path / "layout" / "blobs" / algorithm / name).stat().st_size == index["manifests"][0]["size"]
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert json.load(tar.extractfile("index.json"))["manifests"][0]["digest"] == index["manifests"][0]["digest"]  # type: ignore[arg-type]


def test_tar_and_local(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(context, "-o", f"type=tar,dest={tmp_path}/root.tar", "-o", f"type=local,dest={tmp_path}/out")
    with tarfile.open(tmp_path / "root.tar") as tar:
        assert {"d/hi", "x"} <= {name.removeprefix("./") for name in tar.getnames()}
    assert (tmp_path / "out" / "d" / "hi").read_text() == "hi\n"
    assert (tmp_path / "out" / "x").read_text() == "x\n"


def test_bare_path_is_local(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("k")
    lapstrake.built(context, "-o", str(tmp_path / "out"))
    assert sorted(os.listdir(tmp_path / "out")) == ["d", "kept", "x"]


def test_standard_output(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    for option in ("type=docker,dest=-", "-", "type=oci,dest=-"):
        process = subprocess.run(
            [*PROGRAM, "--root", str(lapstrake.store), "build", f"--build-context=base=docker-archive://{lapstrake.base}",
             "-o", option, str(context)],
            capture_output=True,
            check=True,
        )  # fmt: skip
        (tmp_path / "out.tar").write_bytes(process.stdout)
        with tarfile.open(tmp_path / "out.tar") as tar:
            assert ("d/hi" in tar.getnames()) == (option == "-")


def test_a_failed_build_leaves_the_old_output(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("old")
    folder(context, {"Dockerfile": "FROM base\nRUN exit 3\n"})
    lapstrake.refused(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    assert (tmp_path / "a.tar").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "context", "store"]


def test_missing_or_closed_output_folder(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    done = lapstrake.refused(context, "-o", f"type=docker,dest={tmp_path}/none/a.tar")
    assert "none" in done.err
    if os.geteuid() != 0:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        assert "closed" in lapstrake.refused(context, "-o", f"type=docker,dest={closed}/a.tar").err


def test_iidfile_metadata_and_quiet(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    done = lapstrake.built(
        context, "-q", "-t", "q", "--iidfile", f"{tmp_path}/iid", "--metadata-file", f"{tmp_path}/meta"
    )
    assert done.out == (tmp_path / "iid").read_text().strip() + "\n"
    assert done.err == ""
    meta = json.loads((tmp_path / "meta").read_text())
    assert meta["containerimage.config.digest"] == done.out.strip()
    assert meta["containerimage.descriptor"]["digest"] == meta["containerimage.digest"]
    assert meta["image.name"] == "docker.io/library/q:latest"


def test_images_and_from_the_store(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(context, "-t", "parent:1")
    assert "parent" in lapstrake.run("images").out
    child = folder(tmp_path / "child", {"Dockerfile": "FROM parent:1\nCOPY y /\n", "y": "y"})
    lapstrake.built(child, "-o", f"type=docker,dest={tmp_path}/child.tar")
    assert set(flatten(tmp_path / "child.tar").files) == {"d", "d/hi", "x", "y"}


def test_named_contexts(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(context, "-t", "one:1", "-o", f"type=oci,tar=false,dest={tmp_path}/layout")
    other = folder(tmp_path / "other", {"z": "z\n", "skipped": "s", ".dockerignore": "skipped\n"})
    text = "FROM lay AS a\nFROM base\nCOPY --from=a /x /1\nCOPY --from=other . /2/\nCOPY --from=lay /d /3\n"
    user = folder(tmp_path / "user", {"Dockerfile": text})
    lapstrake.built(
        user, f"--build-context=lay=oci-layout://{tmp_path}/layout:1", f"--build-context=other={other}",
        "-o", f"type=local,dest={tmp_path}/out",
    )  # fmt: skip
    assert (tmp_path / "out" / "1").read_text() == "x\n"
    assert (tmp_path / "out" / "2" / "z").read_text() == "z\n"
    assert not (tmp_path / "out" / "2" / "skipped").exists()
    assert (tmp_path / "out" / "3" / "hi").read_text() == "hi\n"


def test_labels_and_dockerfile_elsewhere(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    folder(tmp_path, {"files/My.Dockerfile": "FROM scratch\nCOPY x /from-here\nLABEL a=1\n"})
    lapstrake.built(
        context, "-f", str(tmp_path / "files" / "My.Dockerfile"), "--label", "a=2", "--label", "b=",
        "-o", f"type=docker,dest={tmp_path}/a.tar",
    )  # fmt: skip
    image = flatten(tmp_path / "a.tar")
    assert image.config["Labels"] == {"a": "2", "b": ""}
    assert set(image.files) == {"from-here"}


def test_dockerignore(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(
        tmp_path / "ignored",
        {
            "Dockerfile": "FROM scratch\nCOPY . /\n",
            ".dockerignore": "*\n!a/b\n!**/*.keep\nc/x.keep\n",
            "a/b/1": "",
            "a/2": "",
            "c/x.keep": "",
            "c/y.keep": "",
            "d": "",
        },
    )
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    assert {n for n, f in flatten(tmp_path / "a.tar").files.items() if f.kind == "file"} == {"a/b/1", "c/y.keep"}


def test_the_image_id_may_go_to_the_standard_output(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n"})
    done = lapstrake.built(context, "--iidfile", "/dev/stdout", "--metadata-file", "/dev/null")
    assert done.out.startswith("sha256:")
    assert Path("/dev/null").is_char_device()


def _manifest(layout: Path) -> tuple[dict[str, object], dict[str, object]]:
    """The entry of index.json, and the manifest that it names."""
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    return entry, json.loads((layout / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).read_text())


def test_annotations(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    lapstrake.built(
        context, "--annotation", "a=1", "--annotation", "manifest,manifest-descriptor:b=2",
        "-o", f"type=oci,tar=false,dest={layout},annotation.a=3,annotation-manifest-descriptor.C=4",
    )  # fmt: skip
    entry, manifest = _manifest(layout)
    assert manifest["annotations"] == {"a": "1", "b": "2"}
    assert {"b": "2", "C": "4"}.items() <= entry["annotations"].items()  # type: ignore[attr-defined]
    assert "index annotations not supported" in lapstrake.refused(context, "--annotation", "index:a=1").err
    lapstrake.built(context, "--annotation", "a=1", "-t", "noted", "--metadata-file", f"{tmp_path}/meta")
    digest = json.loads((tmp_path / "meta").read_text())["containerimage.digest"]
    kept = json.loads((lapstrake.store / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_text())
    assert kept["annotations"] == {"a": "1"}


def test_docker_media_types(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    lapstrake.built(context, "-o", f"type=oci,tar=false,dest={layout},oci-mediatypes=false")
    entry, manifest = _manifest(layout)
    assert entry["mediaType"] == manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"  # type: ignore[index]
    layers = {layer["mediaType"] for layer in manifest["layers"]}  # type: ignore[attr-defined]
    assert layers == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}
    words = 'exporter option "compression=zstd" conflicts with "oci-mediatypes=false"'
    assert words in lapstrake.refused(context, "-o", "type=oci,dest=-,oci-mediatypes=false,compression=zstd").err


def test_rewrite_timestamp(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Own layers are dated, those of the base are not; cached or not, the digest is the same."""
    text = "FROM base\nRUN echo hi > /hi\nRUN touch -d '1999-01-01 00:00:00' /old\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    found = []
    for n, more in enumerate(((), (), ("--no-cache",))):
        file = tmp_path / f"{n}.tar"
        options = ("--build-arg", "SOURCE_DATE_EPOCH=1000000000", *more)
        lapstrake.built(context, *options, "-o", f"type=oci,dest={file},rewrite-timestamp=true")
        found.append(file.read_bytes())
    assert found[0] == found[1] == found[2]
    with tarfile.open(tmp_path / "0.tar") as tar:
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        digest = index["manifests"][0]["digest"].removeprefix("sha256:")
        manifest = json.load(tar.extractfile(f"blobs/sha256/{digest}"))  # type: ignore[arg-type]
        times = {}
        for layer in manifest["layers"][-2:]:
            name = f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}"
            with tarfile.open(fileobj=tar.extractfile(name)) as inner:
                times |= {member.name: member.mtime for member in inner}
    assert times["hi"] == 1000000000
    assert times["old"] < 1000000000
    done = lapstrake.built(context, "-o", f"type=oci,dest={tmp_path}/x.tar,rewrite-timestamp=true")
    assert "rewrite-timestamp is specified, but no source-date-epoch was found" in done.err


def test_an_output_has_a_date_of_its_own(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/a.tar,source-date-epoch=1000000000")
    with tarfile.open(tmp_path / "a.tar") as tar:
        config = json.load(tar.extractfile("manifest.json"))[0]["Config"]  # type: ignore[arg-type]
        assert json.load(tar.extractfile(config))["created"] == "2001-09-09T01:46:40Z"  # type: ignore[arg-type]


def test_what_does_not_go_together(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    done = lapstrake.refused(context, "--iidfile", f"{tmp_path}/id", "-o", str(tmp_path / "out"))
    assert "local and tar exporters are incompatible with image ID file" in done.err
    done = lapstrake.refused(context, "--no-cache", "--no-cache-filter=all")
    assert "--no-cache and --no-cache-filter cannot currently be used together" in done.err
    meant = lapstrake.build(context, "--no-cach").err
    assert "Did you mean one of: " in meant
    assert "'--no-cache'" in meant
    assert not (tmp_path / "out").exists()


def test_files_of_an_output_are_dated_by_the_epoch(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """All of them, to that very second, as BuildKit does (exporter/local/fs.go)."""
    out = ("-o", f"type=tar,dest={tmp_path}/a.tar", "-o", f"type=local,dest={tmp_path}/a")
    lapstrake.built(context, *out, "--build-arg", "SOURCE_DATE_EPOCH=1500000000")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {member.mtime for member in tar} == {1_500_000_000}
    assert {path.lstat().st_mtime for path in (tmp_path / "a").rglob("*")} == {1_500_000_000}
    lapstrake.built(context, "-o", f"type=tar,dest={tmp_path}/b.tar,source-date-epoch=7")
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert {member.mtime for member in tar} == {7}


def test_a_folder_that_mirrors_the_result(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    stale, kept = tmp_path / "here" / "out" / "old" / "file", tmp_path / "elsewhere" / "file"
    for path in (stale, kept):
        path.parent.mkdir(parents=True)
        path.write_text("old")
    output = f"--output=type=local,mode=delete,dest={kept.parent}"
    done = lapstrake.build(context, output, cwd=tmp_path / "here")
    assert done.status == 1 and "requires --allow=buildx.local.delete" in done.err
    assert kept.exists()
    done = lapstrake.build(context, "--output=type=local,mode=delete,dest=out", cwd=tmp_path / "here")
    assert done.status == 0, done.err
    assert not stale.parent.exists() and (tmp_path / "here" / "out" / "d" / "hi").exists()
    done = lapstrake.build(context, output, "--allow=buildx.local.delete", cwd=tmp_path / "here")
    assert done.status == 0, done.err
    assert not kept.exists() and (kept.parent / "x").exists()


def test_named_by_its_digest(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context, "-o", "type=image,dangling-name-prefix=ghcr.io/x/none")
    made = lapstrake.run("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").out.split()
    assert made[:2] == ["ghcr.io/x/none", "<none>"]
    name = f"ghcr.io/x/none@{made[2]}"
    assert json.loads(lapstrake.run("inspect", name).out)[0]["RepoTags"] == []
    lapstrake.built(context, "-t", "b", "-o", "type=image,dangling-name-prefix=ghcr.io/x/none")
    assert lapstrake.run("rmi", "b").out == "Untagged: b:latest\n"
    assert f"Untagged: {name}" in lapstrake.run("rmi", name).out
    assert lapstrake.run("images", "-q", "-a").out == ""
