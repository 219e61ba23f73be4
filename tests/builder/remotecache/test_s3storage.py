"""S3Storage with a real server, with one that misbehaves, and with none."""

from __future__ import annotations

import email.utils
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.errors import Canceled, Denied, Interrupted, NotThere, OutputFault, RegistryFault, Unreachable
from builder.oci.descriptor import Descriptor
from builder.remotecache.options import S3Options
from builder.remotecache.s3storage import S3Storage
from cache.digest import Digest
from cache.errors import DamagedBlob
from cache.store import Store
from tests.builder.remotecache.conftest import Machine, exported, step
from tests.s3server import KEY, SECRET, s3_server
from tests.webserver import Exchange, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder, "bucket") as url:
        yield url, folder / "data" / "bucket"


def options(url: str, **others: Any) -> S3Options:
    usual: dict[str, Any] = {
        "bucket": "bucket",
        "region": "us-east-1",
        "endpoint_url": url,
        "path_style": True,
        "credentials": (KEY, SECRET, ""),
        "retry_attempts": 2,
    }
    return S3Options(**{**usual, **others})


def storage(url: str, **others: Any) -> S3Storage:
    return S3Storage(options(url, **others), {})


def test_there_and_back(server: tuple[str, Path], store: Store, tmp_path: Path) -> None:
    url, bucket = server
    known = exported(store, storage(url, prefix="p/", names=("one", "two")), "a", "b")
    assert sorted(path.name for path in (bucket / "p/manifests").iterdir()) == ["one", "two"]
    assert len(list((bucket / "p/blobs").iterdir())) == 3
    machine = Machine(tmp_path / "other", storage(url, prefix="p/", names=("two",)))
    found = machine.use(known[1])
    assert found == known[1].result and machine.obtain(found.layer)
    assert machine.told.steps[0] == "importing cache manifest from s3://bucket/p/manifests/two"
    assert machine.told.warnings == []


def test_large_blobs_go_in_parts(server: tuple[str, Path], store: Store) -> None:
    url, bucket = server
    digest, size = store.blobs.put(os.urandom(35 << 20))
    blob = Descriptor("x", digest, size)
    there = storage(url, prefix="large/")
    assert not there.has(blob)
    there.send(blob, store.blobs)
    assert there.has(blob)
    assert Digest.of((bucket / f"large/blobs/{digest}").read_bytes()) == digest


def test_a_damaged_blob_is_not_sent(server: tuple[str, Path], store: Store) -> None:
    url, bucket = server
    for size in (1 << 20, 33 << 20):
        digest, size = store.blobs.put(os.urandom(size))
        path = Path(store.blobs.path(digest))
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(DamagedBlob):
            storage(url, prefix="damaged/").send(Descriptor("x", digest, size), store.blobs)
        assert not (bucket / f"damaged/blobs/{digest}").exists()


@pytest.mark.parametrize(("age", "touched"), [(23 * 3600, False), (25 * 3600, True)])
def test_what_is_old_is_touched(store: Store, age: int, touched: bool) -> None:
    """It is copied onto itself, which a bucket's rules take for new."""
    blob = step(store, "x").result.layer.blob

    def answer(exchange: Exchange) -> None:
        if exchange.command == "HEAD":
            modified = email.utils.formatdate(time.time() - age, usegmt=True)
            exchange.send(200, Last_Modified=modified, content_length=str(blob.size))
        else:
            exchange.send(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")

    with serving(answer) as web:
        assert storage(web.url).has(blob)
        assert not storage(web.url).has(Descriptor("x", blob.digest, blob.size + 1))
        copies = [one for one in web.seen if one.method == "PUT"]
    assert [one.headers["x-amz-copy-source"] for one in copies] == [
        f"bucket/blobs/sha256%3A{blob.digest.hex}"
    ] * touched
    assert all(one.headers["x-amz-metadata-directive"] == "REPLACE" for one in copies)


@pytest.mark.parametrize("credentials", [(KEY, "wrong", ""), ("AKIAOTHER", SECRET, "")])
def test_wrong_credentials(server: tuple[str, Path], credentials: tuple[str, str, str]) -> None:
    with pytest.raises(Denied) as caught:
        storage(server[0], credentials=credentials).manifest()
    assert "wrong" not in caught.value.message and SECRET not in caught.value.message


def test_what_is_not_there(server: tuple[str, Path], store: Store) -> None:
    url, _ = server
    with pytest.raises(NotThere):
        storage(url).manifest()
    with pytest.raises((NotThere, RegistryFault)):
        storage(url, bucket="other").manifest()
    known = step(store, "x").result.layer
    with pytest.raises(NotThere):
        storage(url).fetch(known, store.blobs, lambda count: None)
    with pytest.raises(NotThere):
        storage(url).document(Descriptor("x", known.blob.digest, 10))
    with pytest.raises(RegistryFault, match="too many"):
        storage(url).document(Descriptor("x", known.blob.digest, 1 << 30))


def test_credentials_of_the_user(
    server: tuple[str, Path], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the environment, and from a profile."""
    url, _ = server
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id = no\naws_secret_access_key = no\n"
        f"[ci]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    blob = step(store, "mine").result.layer.blob
    none = ("", "", "")
    with pytest.raises(Denied):
        storage(url, credentials=none).has(blob)
    monkeypatch.setenv("AWS_PROFILE", "ci")
    assert not storage(url, credentials=none).has(blob)
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert not storage(url, credentials=none).has(blob)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(Denied, match="no credentials"):
        storage(url, credentials=none).has(blob)


def test_bucket_and_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(OutputFault, match=r"bucket \(\$AWS_BUCKET\) not set for s3 cache"):
        S3Storage(S3Options(), {})
    there = S3Storage(S3Options(), {"AWS_BUCKET": "b"})
    assert there.name == "s3://b/manifests/buildkit"
    with pytest.raises(OutputFault, match=r"region \(\$AWS_REGION\) not set for s3 cache"):
        there.manifest()


def test_no_server() -> None:
    with pytest.raises(Unreachable, match="no connection to its server"):
        storage("http://127.0.0.1:1").manifest()


class Misbehaving:
    """Gives the bytes of a blob: all at once after some pieces, longer, shorter, or never whole."""

    def __init__(self, data: bytes, how: str) -> None:
        self.data, self.how, self.asked = data, how, 0

    def answer(self, exchange: Exchange) -> None:
        self.asked += 1
        said = exchange.seen.headers.get("range", "bytes=0-")
        start = int(said.removeprefix("bytes=").rstrip("-"))
        rest = self.data[start:] + (b"more" if self.how == "longer" else b"")
        if self.how == "shorter":
            rest = rest[:-7]
        if self.how in ("breaks", "always breaks") and (self.asked < 4 or self.how == "always breaks"):
            exchange.send_response(206 if start else 200)
            exchange.send_header("Content-Length", str(len(rest)))
            exchange.end_headers()
            exchange.wfile.write(rest[: len(rest) // 3])
            exchange.cut()
            return
        exchange.send(206 if start else 200, rest)


@pytest.mark.parametrize("how", ["whole", "breaks", "always breaks", "longer", "shorter"])
def test_servers_that_misbehave(store: Store, tmp_path: Path, how: str) -> None:
    layer = step(store, "x").result.layer
    server = Misbehaving(store.blobs.read(layer.blob.digest), how)
    machine = Store(str(tmp_path / "machine"))
    with serving(server.answer) as web:
        there = storage(web.url)
        if how in ("whole", "breaks"):
            there.fetch(layer, machine.blobs, lambda count: None)
            assert machine.blobs.has(layer.blob.digest)
            assert server.asked == (1 if how == "whole" else 4)
            return
        with pytest.raises((RegistryFault, Interrupted), match=r"bytes, not|broke off"):
            there.fetch(layer, machine.blobs, lambda count: None)
    assert machine.blobs.digests() == []


def test_canceled(store: Store, tmp_path: Path) -> None:
    layer = step(store, "x").result.layer
    machine = Store(str(tmp_path / "machine"))

    def answer(exchange: Exchange) -> None:
        there.cancel()
        exchange.send(200, store.blobs.read(layer.blob.digest))

    with serving(answer) as web:
        there = storage(web.url)
        with pytest.raises(Canceled):
            there.fetch(layer, machine.blobs, lambda count: None)
