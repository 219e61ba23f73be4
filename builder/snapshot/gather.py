"""Trees on disk that are no layers: files of a client, or all that a stack of layers shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from builder.layer import inode
from builder.layer.entry import Content, Item, Kind
from builder.layer.unpack import apply_plain
from builder.sandbox.spec import PlainRoot
from builder.snapshot.registry import Registry
from builder.snapshot.tree import MergedTree


class Gathered:
    """See `builder.snapshot.snapshots.Loan`. A new folder of the items."""

    def __init__(self, registry: Registry, items: Iterable[Item]) -> None:
        self._registry = registry
        self._id = registry.new_id()
        self.root = PlainRoot(os.path.join(registry.folder, self._id))
        os.mkdir(self.root.path)
        os.chmod(self.root.path, 0o755)
        try:
            fd = os.open(self.root.path, inode.OPEN | os.O_DIRECTORY)
            try:
                apply_plain(items, fd)
            finally:
                os.close(fd)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        self._registry.remove_folder(self._id)


def all_of(tree: MergedTree) -> Iterator[Item]:
    """Every member, parents first."""
    for entry in tree.walk(b""):
        content: Content | None = tree.content(entry.path) if entry.kind is Kind.FILE else None
        yield entry, content
