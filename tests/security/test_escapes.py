"""Links that point outside, in the context, in the image and in archives: nothing of the host is read or written."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder

pytestmark = pytest.mark.e2e

SECRET = "a secret of the host"


@pytest.fixture
def lapstrake(tmp_path: Path, base: Path) -> Lapstrake:
    return Lapstrake(tmp_path / "store", base)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder beside the context with something to steal; it must be the same afterwards."""
    return folder(tmp_path / "host", {"secret": SECRET})


def unharmed(host: Path) -> None:
    assert sorted(os.listdir(host)) == ["secret"]
    assert (host / "secret").read_text() == SECRET


def silent(store: Path, *archives: Path) -> None:
    """The secret is in no output and nowhere in the store."""
    for archive in archives:
        if archive.exists():
            import hashlib

            digest = hashlib.sha256(SECRET.encode()).hexdigest()
            assert all(file.content != digest for file in flatten(archive).files.values())
    for path in store.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("source", ["link", "up", "dir/secret", "dir", "dir/*", "absolute/secret"])
def test_links_in_the_context(lapstrake: Lapstrake, tmp_path: Path, host: Path, source: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\nCOPY {source} /out/\n", "x": ""})
    os.symlink(host / "secret", context / "link")
    os.symlink("../host/secret", context / "up")
    os.symlink("../host", context / "dir")
    os.symlink(host, context / "absolute")
    done = lapstrake.build(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    assert "Traceback" not in done.err
    silent(lapstrake.store, tmp_path / "a.tar")
    unharmed(host)


def test_the_dockerfile_is_a_link_outside(lapstrake: Lapstrake, tmp_path: Path, host: Path) -> None:
    """What it leads to would be shown, as an error in a Dockerfile is."""
    context = folder(tmp_path / "context", {})
    os.symlink(host / "secret", context / "Dockerfile")
    done = lapstrake.refused(context)
    assert "failed to read dockerfile: open Dockerfile: no such file or directory" in done.err
    assert SECRET not in done.err
    (context / "Dockerfile").unlink()
    folder(context, {"Dockerfile": "FROM scratch\nCOPY . /\n"})
    os.symlink(host / "secret", context / ".dockerignore")
    lapstrake.built(context)


def test_pipes_in_the_context_are_not_waited_for(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {})
    os.mkfifo(context / "Dockerfile")
    assert "failed to read dockerfile: Dockerfile: is no plain file" in lapstrake.refused(context).err
    archive = tmp_path / "context.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(context / "Dockerfile", "Dockerfile")
    with archive.open("rb") as stdin:
        done = subprocess.run(
            [*PROGRAM, "--root", str(lapstrake.store), "build", "-"], stdin=stdin, capture_output=True, text=True
        )
    assert done.returncode == 1
    assert "failed to read dockerfile: Dockerfile: is no plain file" in done.stderr
    (context / "Dockerfile").unlink()
    folder(context, {"Dockerfile": "FROM scratch\nCOPY . /\n"})
    os.mkfifo(context / ".dockerignore")
    assert ".dockerignore: is no plain file" in lapstrake.refused(context).err


@pytest.mark.parametrize("target", ["absolute", "relative"])
@pytest.mark.parametrize(
    "steps",
    [
        "COPY x /link/stolen\n",
        "COPY d /link\n",
        "COPY d /link/\n",
        "ADD t.tar /link/\n",
        "WORKDIR /link/made\nRUN touch here\n",
        "COPY --from=a /link/secret /got\n",
        "COPY --from=a /link /got\n",
        "RUN cat /link/secret && exit 1 || true\n",
    ],
)
def test_links_in_the_image(lapstrake: Lapstrake, tmp_path: Path, host: Path, target: str, steps: str) -> None:
    where = str(host) if target == "absolute" else "../" * 30 + str(host).lstrip("/")
    text = f"FROM base AS a\nRUN ln -s {where} /link\nFROM a\n{steps}"
    context = folder(tmp_path / "context", {"Dockerfile": text, "x": "x", "d/stolen": "y"})
    with tarfile.open(context / "t.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("stolen"))
    done = lapstrake.build(context, "-o", f"type=docker,dest={tmp_path}/a.tar", "-o", f"type=local,dest={tmp_path}/out")
    assert "Traceback" not in done.err
    silent(lapstrake.store, tmp_path / "a.tar")
    unharmed(host)


def hostile(path: Path, host: Path) -> None:
    """Every published way of leaving an archive's folder."""
    up = "../" * 30

    def add(
        tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"evil"
    ) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        info.size = len(data) if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(data))

    with tarfile.open(path, "w") as tar:
        add(tar, f"{up}{host}/one")
        add(tar, f"{host}/two")
        add(tar, "link", tarfile.SYMTYPE, str(host))
        add(tar, "link/three")
        add(tar, "chain", tarfile.SYMTYPE, "link")
        add(tar, "chain/four")
        add(tar, "hard", tarfile.LNKTYPE, f"{host}/secret")
        add(tar, "hard2", tarfile.LNKTYPE, "link/secret")
        add(tar, "hard2")
        add(tar, "secret-link", tarfile.SYMTYPE, f"{host}/secret")
        add(tar, "secret-link")


@pytest.mark.parametrize("then", ["", "RUN true\n"])
def test_a_hostile_archive(lapstrake: Lapstrake, tmp_path: Path, host: Path, then: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\nADD evil.tar /d/\n{then}"})
    hostile(context / "evil.tar", host)
    done = lapstrake.build(context, "-o", f"type=docker,dest={tmp_path}/a.tar", "-o", f"type=local,dest={tmp_path}/out")
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    silent(lapstrake.store)
    unharmed(host)


def test_a_hostile_base_image(lapstrake: Lapstrake, tmp_path: Path, host: Path) -> None:
    """A `docker save` archive whose one layer is the hostile archive."""
    import hashlib
    import json

    hostile(tmp_path / "layer.tar", host)
    layer = (tmp_path / "layer.tar").read_bytes()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["evil:1"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for name, data in (("manifest.json", manifest), ("config.json", config), ("layer.tar", layer)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    text = "FROM evil AS e\nFROM base\nCOPY --from=e / /all/\nFROM evil\nCOPY --from=1 /bin/busybox /bin/busybox\n"
    text += 'RUN ["/bin/busybox", "true"]\n'
    context = folder(tmp_path / "context", {"Dockerfile": text})
    for target in ((), ("--target", "1")):
        done = lapstrake.build(
            context, f"--build-context=evil=docker-archive://{tmp_path}/evil.tar", *target,
            "-o", f"type=local,dest={tmp_path}/out",
        )  # fmt: skip
        assert "Traceback" not in done.err
        assert "internal error" not in done.err
    unharmed(host)


def test_an_output_folder_with_links_in_it(lapstrake: Lapstrake, tmp_path: Path, host: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY d /d/\n", "d/secret": "evil"})
    out = tmp_path / "out"
    out.mkdir()
    os.symlink(host, out / "d")
    done = lapstrake.build(context, "-o", f"type=local,dest={out}")
    assert "Traceback" not in done.err
    unharmed(host)


def test_two_steps_cannot_change_a_shared_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS a\nRUN echo mine > /f\nFROM a AS b\nRUN echo changed > /f && rm -rf /bin/wget\n"
    text += "FROM a\nCOPY --from=b /f /theirs\nRUN test $(cat /f) = mine && test -e /bin/wget\n"
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}))
