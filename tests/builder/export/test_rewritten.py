"""rewrite-timestamp: later dates become the epoch, earlier ones stay, and it is done once."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.export.rewritten import rewritten
from builder.layer.codec import codec
from builder.layer.entry import BytesContent, Entry, Kind
from builder.layer.layer import Layer
from builder.layer.pack import pack
from builder.layer.plain import open_plain
from builder.layer.tarread import TarReader
from cache.store import Store

ENTRIES = (
    Entry(path=b"new", kind=Kind.FILE, mode=0o644, mtime=2000, size=3),
    Entry(path=b"old", kind=Kind.DIR, mode=0o755, mtime=5),
    Entry(path=b"old/gone", kind=Kind.WHITEOUT, mtime=3000),
)


def packed(store: Store) -> Layer:
    with store.blobs.writer() as sink:
        items = [(entry, BytesContent(b"abc") if entry.size else None) for entry in ENTRIES]
        return pack(items, codec("gzip"), sink)


def times(store: Store, layer: Layer) -> dict[bytes, int]:
    with store.blobs.open(layer.blob.digest) as reader:
        return {entry.path: entry.mtime for entry, _ in TarReader(open_plain(reader))}


def test_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path / "store"))
    layer = packed(store)
    made = rewritten(layer, 1000, codec("gzip"), store.blobs, store.index)
    assert made.diff_id != layer.diff_id
    assert times(store, made) == {b"new": 1000, b"old": 5, b"old/.wh.gone": 1000}
    assert rewritten(layer, 9000, codec("gzip"), store.blobs, store.index) == layer
    monkeypatch.setattr("builder.export.rewritten.pack", pytest.fail)
    assert rewritten(layer, 1000, codec("gzip"), store.blobs, store.index) == made
    assert rewritten(layer, 9000, codec("gzip"), store.blobs, store.index) == layer
    store.close()
