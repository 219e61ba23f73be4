"""`import`: from files in every compression and from URLs; what no layer may be; and that a failure leaves nothing."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os

import pytest
import zstandard

from builder.cli import main
from builder.images import imported
from builder.images.store import ImageStore
from tests.builder.conftest import tar_bytes
from tests.webserver import Exchange, serving

TAR = tar_bytes({"etc/hostname": b"here\n", "large": os.urandom(3 << 20)})
FORMS = {
    "plain": TAR,
    "gzip": gzip.compress(TAR, 1),
    "gzip in members": gzip.compress(TAR[:4000], 1) + gzip.compress(TAR[4000:], 1),
    "bzip2": bz2.compress(TAR, 1),
    "xz": lzma.compress(TAR, preset=0),
    "zstd": zstandard.compress(TAR, 1),
}


@pytest.fixture
def run(store, capsys, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)

    def call(*args):
        status = main.run(["--root", store.root, *map(str, args)])
        captured = capsys.readouterr()
        assert "internal error" not in captured.err
        return status, captured.out, captured.err

    return call


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "a.tar").write_bytes(TAR)
    return tmp_path / "a.tar"


def config(run, name):
    return json.loads(run("inspect", name)[1])[0]


def left(store):
    return os.listdir(store.path("blobs/sha256")) + os.listdir(store.path("tmp"))


def test_every_compression_gives_the_same_image(run, store, tmp_path):
    from cache.digest import Digest

    ids = set()
    for name, data in FORMS.items():
        (tmp_path / "in").write_bytes(data)
        status, out, err = run("import", tmp_path / "in", f"t:{name.replace(' ', '-')}")
        assert status == 0, err
        ids.add(out)
    assert len(ids) == 1
    shown = config(run, "t:plain")
    assert shown["Id"] == out.strip()
    assert shown["RootFS"]["Layers"] == [str(Digest.of(TAR))]
    assert (shown["Comment"], shown["Created"]) == ("Imported from -", "1980-01-02T00:00:00Z")
    images = ImageStore(store.root, store.blobs)
    stored = images.resolve("t:xz")
    assert stored is not None
    with store.blobs.open(images.load(stored.descriptor).layers[0].blob.digest) as reader:
        assert gzip.decompress(reader.read()) == TAR


def test_changes(run, archive):
    words = ["-c", 'CMD ["a", "b"]', "-c", "ENV A=1", "-c", "ENV B=$A-$PATH", "-c", "WORKDIR x", "-c", "label k='v w'"]
    assert run("import", *words, "-m", "made by hand", archive, "t")[0] == 0
    shown = config(run, "t")
    assert shown["Config"]["Cmd"] == ["a", "b"]
    assert shown["Config"]["Env"] == ["A=1", "B=1-"]
    assert (shown["Config"]["WorkingDir"], shown["Config"]["Labels"]) == ("/x", {"k": "v w"})
    assert "ArgsEscaped" not in shown["Config"]
    assert shown["Comment"] == "made by hand"
    assert run("history", "--format", "{{.Comment}}", "t")[1] == "made by hand\n"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["-c", "RUN x"], "RUN is not a valid change command"),
        (["-c", "COPY a b"], "COPY is not a valid change command"),
        (["-c", "FROM x"], "FROM is not a valid change command"),
        (["-c", "ENV A=1", "-c", "NOPE x"], "unknown instruction: NOPE"),
        (["-c", ""], "file with no instructions"),
        (["-c", "ENV"], "ENV requires at least one argument"),
        (["-c", "STOPSIGNAL NOPE"], "invalid signal: NOPE"),
        (["-c", "ENV A=${B:?no}"], "no"),
        (["--platform", "bogus"], "unknown operating system or architecture"),
    ],
)
def test_what_is_refused_before_anything_is_read(run, store, args, error):
    status, out, err = run("import", *args, "/nonexistent", "t")
    assert (status, out) == (1, "")
    assert error in err.splitlines()[0]
    assert left(store) == []


def test_names(run, archive):
    status, _, err = run("import", archive, f"t@sha256:{'a' * 64}")
    assert status == 1 and "cannot import digest reference" in err
    assert "must be lowercase" in run("import", archive, "T")[2]
    status, out, _ = run("import", archive)
    assert status == 0
    assert run("images", "-a", "--no-trunc", "--format", "{{.Repository}} {{.ID}}")[1] == f"<none> {out}"
    assert run("image", "import", archive, "named")[1] == out


def test_platform_and_date(run, archive, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm/v7")
    run("import", archive, "t")
    shown = config(run, "t")
    assert (shown["Architecture"], shown["Variant"], shown["Created"]) == ("arm", "v7", "2023-11-14T22:13:20Z")
    run("import", "--platform=linux/arm64", archive, "t")
    assert config(run, "t")["Architecture"] == "arm64"


BAD = {
    "text": (b"hello\n" * 1000, "bad tar archive"),
    "cut": (TAR[:2000], "is cut short"),
    "cut gzip": (gzip.compress(TAR, 1)[:5000], "gzip data is cut short"),
    "damaged xz": (lzma.compress(TAR, preset=0)[:-40] + b"x" * 40, "xz data is damaged"),
    "outside": (tar_bytes({"../x": b"1"}), "member '../x'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_archives_leave_nothing(run, store, tmp_path, name):
    data, error = BAD[name]
    (tmp_path / "in").write_bytes(data)
    status, out, err = run("import", tmp_path / "in", "t")
    assert (status, out) == (1, "")
    assert err.startswith(f"ERROR: {tmp_path}/in: ") and error in err
    assert left(store) == []
    assert run("images", "-aq")[1] == ""


def test_what_cannot_be_opened(run, tmp_path):
    assert "no such file or directory" in run("import", tmp_path / "none", "t")[2]
    assert f"read {tmp_path}: is a directory" in run("import", tmp_path, "t")[2]


def test_bounds(run, store, archive, monkeypatch):
    monkeypatch.setenv("LAPSTRAKE_UNPACK_LIMIT", "1000000")
    status, _, err = run("import", archive, "t")
    assert status == 1 and "LAPSTRAKE_UNPACK_LIMIT" in err
    monkeypatch.delenv("LAPSTRAKE_UNPACK_LIMIT")
    monkeypatch.setattr(imported, "_TAIL", 2 << 20)
    archive.write_bytes(TAR + b"x" * (1 << 20))
    assert run("import", archive, "t")[0] == 0
    archive.write_bytes(TAR + b"x" * (3 << 20))
    status, _, err = run("import", archive, "u")
    assert status == 1 and "follow the end of the archive" in err
    assert os.listdir(store.path("tmp")) == []


def test_urls(run, store, monkeypatch):
    def answer(exchange: Exchange) -> None:
        if exchange.path.startswith("/a.tar"):
            exchange.send(200, FORMS["gzip"])
        elif exchange.path == "/cut":
            exchange.send(200, FORMS["gzip"][:1000], content_length="900000")
            exchange.cut()
        else:
            exchange.send(404, b"\x1b[31mno")

    with serving(answer) as server:
        name, word = "name", "word"
        url = server.url.replace("//", f"//{name}:{word}@")
        status, out, err = run("import", f"{url}/a.tar?sig=1", "t")
        assert status == 0, err
        assert out.splitlines()[0] == f"Downloading from {server.url}/a.tar?…"
        assert config(run, "t")["Comment"] == f"Imported from {server.url}/a.tar?…"
        assert server.seen[-1].headers["authorization"].startswith("Basic ")
        before = left(store)
        status, _, err = run("import", f"{server.url}/none", "u")
        assert (status, err.splitlines()[0]) == (1, f"ERROR: failed to GET {server.url}/none with status 404")
        assert run("import", f"{server.url}/cut", "u")[0] == 1
        monkeypatch.setenv("LAPSTRAKE_DOWNLOAD_LIMIT", "1000")
        assert "LAPSTRAKE_DOWNLOAD_LIMIT" in run("import", f"{server.url}/a.tar", "u")[2]
        assert left(store) == before
