from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.errors import LayerFault
from builder.layer.changes import upper_changes
from builder.layer.codec import codec
from builder.layer.entry import BytesContent, Entry, Item, Kind
from builder.layer.pack import pack, tar_chunks
from builder.layer.plain import open_plain
from builder.layer.tarread import TarReader
from builder.layer.whiteout import from_oci
from builder.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from cache.digest import Digest

_TYPES = {"uncompressed": OCI_LAYER, "gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}


def _file(path: bytes, data: bytes) -> Item:
    return Entry(path=path, kind=Kind.FILE, size=len(data)), BytesContent(data)


@pytest.mark.parametrize("name", _TYPES)
def test_both_digests_are_of_what_was_written(name: str, nasty: Path, kit: Any) -> None:
    sink = kit.Sink()
    listing: list[Entry] = []
    layer = pack(upper_changes(str(nasty), False), codec(name), sink, listing.append)
    stored = bytes(sink.data)
    plain = open_plain(io.BytesIO(stored)).read()
    assert layer.diff_id == Digest(hashlib.sha256(plain).hexdigest())
    assert (layer.blob.digest, layer.blob.size) == (Digest.of(stored), len(stored))
    assert layer.blob.media_type == _TYPES[name]
    members = kit.listed(from_oci(TarReader(io.BytesIO(plain))))
    assert members == kit.listed(upper_changes(str(nasty), False))
    assert listing == [entry for entry, _ in members]


def test_the_same_members_give_the_same_layer_under_any_umask(tmp_path: Path, kit: Any) -> None:
    layers = []
    for mask, seed in ((0o022, "1"), (0o077, "2")):
        folder = tmp_path / seed
        folder.mkdir()
        before = os.umask(mask)
        try:
            items = upper_changes(str(folder), False)
            extra = [_file(b"b", b"x" * 5000)]
            layers.append(pack([*items, *extra], codec("gzip"), kit.Sink()))
        finally:
            os.umask(before)
    assert layers[0] == layers[1]


@pytest.mark.parametrize("size", [0, 1, 99, 101, 3 << 20])
def test_a_file_that_changes_size_is_a_fault(size: int, kit: Any) -> None:
    item = (Entry(path=b"victim", kind=Kind.FILE, size=100), BytesContent(bytes(size)))
    with pytest.raises(LayerFault, match=r"victim.*changed while it was read"):
        pack([item], codec("gzip"), kit.Sink())


def test_a_file_that_really_grows_and_shrinks(tmp_path: Path, kit: Any) -> None:
    for change in (b"longer than before", b""):
        (tmp_path / "f").write_bytes(b"before")
        items = list(upper_changes(str(tmp_path), False))
        (tmp_path / "f").write_bytes(change)
        stream = upper_changes(str(tmp_path), False)
        item = (items[0][0], next(stream)[1])
        with pytest.raises(LayerFault, match="changed"):
            pack([item], codec("gzip"), kit.Sink())


def test_no_path_twice(kit: Any) -> None:
    for items in ([_file(b"a", b"1"), _file(b"a", b"2")], [_file(b"x", b""), (Entry(path=b"x", kind=Kind.DIR), None)]):
        with pytest.raises(LayerFault, match="twice"):
            pack(items, codec("uncompressed"), kit.Sink())


def test_marks_only_in_layers() -> None:
    assert b"".join(tar_chunks([_file(b".wh.x", b"1")], marks=False)).startswith(b".wh.x\0")
    with pytest.raises(LayerFault):
        list(tar_chunks([_file(b".wh.x", b"1")]))


def test_nothing_is_committed_after_a_fault(kit: Any) -> None:
    class Sink(kit.Sink):  # type: ignore[misc]
        def commit(self) -> object:
            raise AssertionError("committed")

    def items() -> Iterator[Item]:
        yield _file(b"a", b"x" * (2 << 20))
        raise LayerFault("broken source")

    with pytest.raises(LayerFault, match="broken source"):
        pack(items(), codec("gzip"), Sink())


def test_an_empty_layer(kit: Any) -> None:
    layer = pack([], codec("gzip"), kit.Sink())
    assert layer.diff_id == Digest(hashlib.sha256(bytes(1024)).hexdigest())
