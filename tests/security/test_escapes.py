"""Links that point outside, in the context, in the image and in archives: nothing of the host is read or written."""

from __future__ import annotations

import hashlib
import io
import json
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
            digest = hashlib.sha256(SECRET.encode()).hexdigest()
            assert all(file.content != digest for file in flatten(archive).files.values())
    for path in store.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("source", ["link", "up", "dir/secret", "dir", "absolute/secret", "dir/*"])
def test_links_in_the_context(lapstrake: Lapstrake, tmp_path: Path, host: Path, source: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\nCOPY {source} /out/\n", "x": ""})
    os.symlink(host / "secret", context / "link")
    os.symlink("../host/secret", context / "up")
    os.symlink("../host", context / "dir")
    os.symlink(host, context / "absolute")
    missing = "lstat /host: no such file or directory" if source == "dir/*" else f'"/{source}": not found'
    assert missing in lapstrake.refused(context).err
    silent(lapstrake.store)
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
    ("steps", "made"),
    [
        ("COPY x /link/stolen\n", "stolen"),
        ("COPY d /link\n", "stolen"),
        ("COPY d /link/\n", "stolen"),
        ("ADD t.tar /link/\n", "stolen"),
        ("WORKDIR /link/made\nRUN touch here\n", "made/here"),
        ("RUN ! cat /link/secret\n", ""),
        ("COPY --from=a /link/secret /got\n", None),
        ("COPY --from=a /link /got\n", None),
    ],
)
def test_links_in_the_image(
    lapstrake: Lapstrake, tmp_path: Path, host: Path, target: str, steps: str, made: str | None
) -> None:
    """made: what comes to be below the link's target in the image; None where the build fails."""
    where = str(host) if target == "absolute" else "../" * 30 + str(host).lstrip("/")
    text = f"FROM base AS a\nRUN ln -s {where} /link\nFROM a\n{steps}"
    context = folder(tmp_path / "context", {"Dockerfile": text, "x": "x", "d/stolen": "y"})
    with tarfile.open(context / "t.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("stolen"))
    outputs = ("-o", f"type=docker,dest={tmp_path}/a.tar", "-o", f"type=local,dest={tmp_path}/out")
    if made is None:
        assert "not found" in lapstrake.refused(context, *outputs).err
    else:
        lapstrake.built(context, *outputs)
        inside = str(host).lstrip("/") + "/"
        found = [n.removeprefix(inside) for n, f in flatten(tmp_path / "a.tar").files.items() if n.startswith(inside)]
        assert found[-1:] == ([made] if made else [])
    silent(lapstrake.store, tmp_path / "a.tar")
    unharmed(host)


FILE, SYMLINK, HARDLINK = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
UP = "../" * 30

# Every published way of leaving an archive's folder: members (name, type, link), HOST standing for a folder of the
# machine; what ADD to /d makes of it, and a layer of a base image: a path in the image, or the words of refusal.
ATTACKS = {
    "dots": ([(f"{UP}HOST/evil", FILE, "")], "leaves its folder by '..'", "leaves its folder by '..'"),
    "dots within": ([("a/../../HOST/evil", FILE, "")], "leaves its folder by '..'", "leaves its folder by '..'"),
    "absolute": ([("HOST/evil", FILE, "")], "dHOST/evil", "HOST/evil"),
    "through a link": (
        [("l", SYMLINK, "HOST"), ("l/evil", FILE, "")],
        "HOST/evil",
        "which this layer made a non-folder",
    ),
    "through two": (
        [("l", SYMLINK, "HOST"), ("m", SYMLINK, "l"), ("m/evil", FILE, "")],
        "HOST/evil",
        "which this layer made a non-folder",
    ),
    "up by a link": (
        [("l", SYMLINK, f"{UP}HOST"), ("l/evil", FILE, "")],
        "HOST/evil",
        "which this layer made a non-folder",
    ),
    "hard link": ([("h", HARDLINK, "HOST/secret")], "not there", "points to b"),
    "hard link by dots": ([("h", HARDLINK, f"{UP}HOST/secret")], "leaves its folder", "leaves its folder"),
    "hard link behind a link": (
        [("l", SYMLINK, "HOST"), ("h", HARDLINK, "l/secret"), ("h", FILE, "")],
        "not there",
        "points to b'l/secret'",
    ),
    "over a link": ([("s", SYMLINK, "HOST/secret"), ("s", FILE, "")], "d/s", "s"),
    "over a hard link to a link": (
        [("s", SYMLINK, "HOST/secret"), ("h", HARDLINK, "s"), ("h", FILE, "")],
        "d/h",
        "h",
    ),
}


def hostile(path: Path, members: list[tuple[str, bytes, str]], host: Path) -> None:
    with tarfile.open(path, "w") as tar:
        for name, kind, link in members:
            info = tarfile.TarInfo(name.replace("HOST", str(host)))
            info.type, info.linkname = kind, link.replace("HOST", str(host))
            info.size = 4 if kind == FILE else 0
            tar.addfile(info, io.BytesIO(b"evil"))


def expect(lapstrake: Lapstrake, context: Path, args: tuple[str, ...], outcome: str, host: Path, out: Path) -> None:
    """outcome: as in ATTACKS."""
    if " " in outcome:
        assert outcome in lapstrake.refused(context, *args).err
    else:
        lapstrake.built(context, *args, "-o", f"type=docker,dest={out}.tar", "-o", f"type=local,dest={out}")
        files = flatten(Path(f"{out}.tar")).files
        digest = hashlib.sha256(b"evil").hexdigest()
        assert [n for n, f in files.items() if f.content == digest] == [outcome.replace("HOST", str(host)).lstrip("/")]
    unharmed(host)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_archive(lapstrake: Lapstrake, tmp_path: Path, host: Path, attack: str) -> None:
    members, outcome, _ = ATTACKS[attack]
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nADD evil.tar /d/\nRUN true\n"})
    hostile(context / "evil.tar", members, host)
    expect(lapstrake, context, (), outcome, host, tmp_path / "out")
    silent(lapstrake.store)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_base_image(lapstrake: Lapstrake, tmp_path: Path, host: Path, attack: str) -> None:
    """A `docker save` archive whose one layer is the hostile archive: copied from, then run on."""
    members, _, outcome = ATTACKS[attack]
    hostile(tmp_path / "layer.tar", members, host)
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
    text = "FROM evil AS e\nFROM scratch AS copied\nCOPY --from=e / /\n"
    text += 'FROM evil AS run\nCOPY --from=base /bin/busybox /busybox\nRUN ["/busybox", "true"]\n'
    context = folder(tmp_path / "context", {"Dockerfile": text})
    for target in ("copied", "run"):
        given = (f"--build-context=evil=docker-archive://{tmp_path}/evil.tar", "--target", target)
        expect(lapstrake, context, given, outcome, host, tmp_path / target)


def test_an_output_folder_with_links_in_it(lapstrake: Lapstrake, tmp_path: Path, host: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY d /d/\n", "d/secret": "evil"})
    out = tmp_path / "out"
    out.mkdir()
    os.symlink(host, out / "d")
    lapstrake.built(context, "-o", f"type=local,dest={out}")
    assert (out / "d" / "secret").read_text() == "evil" and not (out / "d").is_symlink()
    unharmed(host)


def test_two_steps_cannot_change_a_shared_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS a\nRUN echo mine > /f\nFROM a AS b\nRUN echo changed > /f && rm -rf /bin/wget\n"
    text += "FROM a\nCOPY --from=b /f /theirs\nRUN test $(cat /f) = mine && test -e /bin/wget\n"
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}))
