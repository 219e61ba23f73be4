"""PlainSnapshots: a whole tree per chain, where no overlay can be mounted. Slower, same layers.

Each tree begins as a copy of its parent's, with blocks shared where the file system can (FICLONE). The tree below
the first layer is the stub, so its mount points are in no diff.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator

from builder.layer import inode
from builder.layer.compare import tree_changes
from builder.layer.entry import Item
from builder.layer.unpack import Unpacked, apply_plain
from builder.sandbox.spec import PlainRoot
from builder.snapshot.copytree import copy_tree
from builder.snapshot.folderlayer import FolderLayer
from builder.snapshot.gather import Gathered, all_of
from builder.snapshot.registry import Registry
from builder.snapshot.snapshots import Chain, Folder
from builder.snapshot.stub import STUB, ensure_stub
from builder.snapshot.tree import MergedTree
from cache.digest import Digest


class PlainSnapshots:
    """See `builder.snapshot.snapshots.Snapshots`."""

    def __init__(self, store: str, make_stub: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._registry = Registry(store, warn)
        self._base = self._registry.folder
        self._make_stub = make_stub

    def find(self, chain: Chain) -> Folder | None:
        id = self._registry.find(_key(chain))
        return self._folder(id) if id else None

    def register(self, chain: Chain, folder: Folder) -> Folder:
        return self._folder(self._registry.register(_key(chain), folder.id))

    def unpack(self, chain: Chain, items: Iterable[Item], parents: tuple[Folder, ...]) -> tuple[Folder, Unpacked]:
        folder = self._copy(parents)
        try:
            fd = os.open(folder.path, inode.OPEN | os.O_DIRECTORY)
            try:
                unpacked = apply_plain(items, fd)
            finally:
                os.close(fd)
        except BaseException:
            self.remove(folder)
            raise
        return self.register(chain, folder), unpacked

    def begin(self, parents: tuple[Folder, ...]) -> PlainDraft:
        folder = self._copy(parents)
        return PlainDraft(self, folder, self._below(parents), _now(folder.path))

    def borrow(self, parents: tuple[Folder, ...]) -> Gathered:
        return self.gather(all_of(MergedTree(self.layers(parents[-1:]))))

    def gather(self, items: Iterable[Item]) -> Gathered:
        return Gathered(self._registry, items)

    def layers(self, parents: tuple[Folder, ...]) -> tuple[FolderLayer, ...]:
        stub = os.path.join(self._base, STUB)
        return tuple(FolderLayer(folder.path, False, stub) for folder in reversed(parents))

    def close(self) -> None:
        self._registry.close()

    def remove(self, folder: Folder) -> None:
        self._registry.remove_folder(folder.id)

    def _folder(self, id: str) -> Folder:
        return Folder(id, os.path.join(self._base, id))

    def _below(self, parents: tuple[Folder, ...]) -> Folder:
        ensure_stub(self._base, self._make_stub)
        return parents[-1] if parents else self._folder(STUB)

    def _copy(self, parents: tuple[Folder, ...]) -> Folder:
        source = self._below(parents)
        folder = self._folder(self._registry.new_id())
        os.mkdir(folder.path, 0o700)
        try:
            copy_tree(source.path, folder.path)
        except BaseException:
            self.remove(folder)
            raise
        return folder


class PlainDraft:
    """See `builder.snapshot.snapshots.Draft`."""

    def __init__(self, snapshots: PlainSnapshots, folder: Folder, below: Folder, since_ns: int) -> None:
        self._snapshots, self._folder, self._below, self._since = snapshots, folder, below, since_ns
        self.upper = folder.path

    @property
    def root(self) -> PlainRoot:
        return PlainRoot(self._folder.path)

    def changes(self) -> Iterator[Item]:
        return tree_changes(self._below.path, self._folder.path, self._since)

    def commit(self) -> Folder:
        return self._folder

    def discard(self) -> None:
        self._snapshots.remove(self._folder)


def _key(chain: Chain) -> str:
    """A tree is named by all of its layers (OCI config.md#layer-chainid has the same idea)."""
    return "tree " + Digest.of(" ".join(map(str, chain)).encode()).hex


def _now(path: str) -> int:
    """A ctime by the file system's own clock: no later change has a lower one."""
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
    return os.stat(path).st_ctime_ns
