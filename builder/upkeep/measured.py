"""Measured: sizes of folders on disk, remembered so that a build need not walk what has not changed to keep a cap."""

from __future__ import annotations

import os

import msgspec

from builder.upkeep.blocks import Blocks
from cache import record
from cache.digest import Digest
from cache.store import Store

KIND = "disk-usage"
_ROOM = 64 << 20  # bytes of disk below which nothing is written that is not needed


class _Size(msgspec.Struct, frozen=True):
    """stamp: of the state that was measured."""

    stamp: int
    size: int


class Measured:
    """quick: whether what is known is taken instead of a walk."""

    def __init__(self, store: Store, blocks: Blocks, quick: bool) -> None:
        self._root, self._index, self._blocks, self._quick = store.root, store.index, blocks, quick
        self._known = {key: record.recall(value, _Size) for key, value, _ in store.index.memos_of(KIND)}
        self._found: dict[Digest, _Size] = {}

    def of(self, name: str, path: str, stamp: int) -> int:
        """Bytes of disk of a folder. stamp: another one whenever its content may be another; 0: it is changing now."""
        key = Digest.of(name.encode())
        known = self._known.get(key)
        if self._quick and known is not None and known.stamp == stamp != 0:
            self._found[key] = known
            return known.size
        size = self._blocks.of(path)
        self._found[key] = _Size(stamp, size)
        return size

    def save(self) -> None:
        """Remember what was found, and forget what is gone; if the disk has room for it."""
        status = os.statvfs(self._root)
        if status.f_bavail * status.f_frsize < _ROOM:
            return
        changed = [(key, size) for key, size in self._found.items() if self._known.get(key) != size]
        self._index.put_memos(KIND, [(key, record.encode(size)) for key, size in changed])
        self._index.delete_memos(KIND, [key for key in self._known if key not in self._found])
