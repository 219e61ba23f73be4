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
