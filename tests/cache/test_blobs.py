"""BlobStore: bytes come back, damage and wrong names are found, nothing half-written is visible."""

import os

import pytest

from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import CacheFault, DamagedBlob, DigestMismatch


@pytest.fixture
def blobs(tmp_path):
    for name in ("blobs/sha256", "tmp"):
        (tmp_path / name).mkdir(parents=True)
    return BlobStore(str(tmp_path))


def test_round_trip_in_pieces(blobs):
    with blobs.writer() as writer:
        for piece in (b"one", b"", bytearray(b"two"), memoryview(b"three")):
            writer.write(piece)
        digest, size = writer.commit()
    assert (digest, size) == (Digest.of(b"onetwothree"), 11)
    assert blobs.read(digest) == b"onetwothree"
    assert blobs.has(digest, 11)
    assert not blobs.has(digest, 12)


def test_uncommitted_leaves_nothing(blobs, tmp_path):
    with pytest.raises(RuntimeError), blobs.writer() as writer:
        writer.write(b"half")
        raise RuntimeError
    assert os.listdir(tmp_path / "tmp") == []
    assert blobs.digests() == []


def test_commit_refuses_another_digest(blobs, tmp_path):
    with pytest.raises(DigestMismatch), blobs.writer() as writer:
        writer.write(b"x")
        writer.commit(Digest.of(b"y"))
    assert os.listdir(tmp_path / "tmp") == []
    assert blobs.digests() == []


@pytest.mark.parametrize("data", [b"X", b"longer than it was", b""])
def test_damage_is_found_at_the_end(blobs, data):
    digest, _ = blobs.put(b"honest bytes")
    damage(blobs, digest, data)
    with pytest.raises(DigestMismatch, match=str(digest)):
        blobs.read(digest)


def test_missing_and_too_large(blobs):
    with pytest.raises(CacheFault, match="not in the store"):
        blobs.read(Digest.of(b"nothing"))
    digest, _ = blobs.put(b"12345")
    with pytest.raises(CacheFault, match="larger than 4 bytes"):
        blobs.read(digest, limit=4)
    assert blobs.delete(digest) == 5
    assert blobs.delete(digest) == 0


def test_damage_is_said_before_what_came_of_it(blobs):
    digest, _ = blobs.put(b"good")
    damage(blobs, digest, b"evil")
    with pytest.raises(DamagedBlob) as caught, blobs.open(digest):
        raise CacheFault("these are no good bytes")
    assert caught.value.name == digest.hex
    whole, _ = blobs.put(b"whole")
    with pytest.raises(CacheFault, match="no good"), blobs.open(whole):
        raise CacheFault("these are no good bytes")


def test_put_makes_damage_good(blobs):
    digest, _ = blobs.put(b"good")
    damage(blobs, digest, b"evil")
    blobs.put(b"good")
    assert blobs.read(digest) == b"good"


def test_what_this_object_wrote_is_known(blobs, tmp_path):
    digest, _ = blobs.put(b"x")
    assert blobs.written == {digest}
    assert BlobStore(str(tmp_path)).written == set()


def test_a_blob_is_supplied_only_if_it_is_not_there(blobs):
    there, asked = blobs.put(b"there")[0], []

    def supply(digest):
        asked.append(digest)
        return bool(blobs.put(b"late"))

    assert blobs.obtain(there, 5)
    assert not blobs.obtain(there, 6)
    blobs.suppliers.append(supply)
    assert blobs.obtain(there, 5)
    assert asked == []
    assert blobs.obtain(Digest.of(b"late"), 4)
    assert not blobs.obtain(Digest.of(b"never"), 5)
    assert asked == [Digest.of(b"late"), Digest.of(b"never")]


def damage(blobs, digest, data):
    os.chmod(blobs.path(digest), 0o644)
    with open(blobs.path(digest), "wb") as file:
        file.write(data)


def test_what_is_still_written_when_the_store_is_closed_goes_at_once(blobs, tmp_path):
    with blobs.writer() as done:
        done.write(b"whole")
        digest, _ = done.commit()
    left = blobs.writer()
    left.write(b"half")
    blobs.close()
    assert os.listdir(tmp_path / "tmp") == []
    with pytest.raises(FileNotFoundError):
        left.commit()
    with pytest.raises(CacheFault, match="closed"):
        blobs.writer()
    assert os.listdir(tmp_path / "blobs" / "sha256") == [digest.hex]
