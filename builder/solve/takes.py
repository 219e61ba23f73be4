"""Whether a step takes a certain member of a tree, by its own rules of selection, without looking at all others."""

from __future__ import annotations

from collections.abc import Iterator

from builder.errors import SourceFault
from builder.graph.operation import Selection
from builder.layer.entry import Content, Entry, Kind
from builder.layer.tree import Tree
from builder.solve.select import select


def takes(tree: Tree, path: bytes, selection: Selection, exclude: tuple[str, ...]) -> bool:
    """path: of a member that the tree has. What links lead to is taken, not what they are called."""
    try:
        found = select(_Alone(tree, path), selection, exclude)
    except SourceFault:
        return False
    return any(entry.path == path for one in found for entry in one.members) or any(
        one.is_dir and one.root == path for one in found
    )


class _Alone:
    """The tree as if one member, with what is above and below it, were all that folders list."""

    def __init__(self, tree: Tree, path: bytes) -> None:
        self._tree, self._path = tree, path

    def lookup(self, path: bytes) -> Entry | None:
        return self._tree.lookup(path)

    def names(self, path: bytes) -> list[bytes]:
        below = path + b"/" if path else b""
        if self._path != path and self._path.startswith(below):
            return [self._path[len(below) :].partition(b"/")[0]]
        return self._tree.names(path) if self._path == path else []

    def walk(self, path: bytes) -> Iterator[Entry]:
        for name in self.names(path):
            member = path + b"/" + name if path else name
            entry = self._tree.lookup(member)
            if entry is not None:
                yield entry
                if entry.kind is Kind.DIR and len(member) < len(self._path):
                    yield from self.walk(member)

    def content(self, path: bytes) -> Content:
        return self._tree.content(path)
