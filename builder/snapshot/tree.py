"""MergedTree: a stack of layers seen as one tree without a mount, as overlayfs would show it.

A layer of the stack is a folder on disk (FolderLayer) or a list of entries that was never unpacked (ListedLayer).
Kernel Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". All are safe for many threads.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from builder.errors import LayerFault
from builder.layer.entry import Content, Entry, Kind

ROOT = Entry(path=b"", kind=Kind.DIR, mode=0o755)
_CACHED = 4096


class Found(msgspec.Struct, frozen=True):
    """A member of one layer. opaque: a folder that hides those below. implied: a folder that is there only because
    of what is in it. inode: equal for all names of one file, None where there is but one name."""

    entry: Entry
    opaque: bool = False
    implied: bool = False
    inode: Hashable = None


class LayerView(Protocol):
    """One layer. Paths are relative to its root; their parents are folders of this layer."""

    def lookup(self, path: bytes) -> Found | None:
        """Like lstat; a deleted path is a WHITEOUT, a further name of a file is a FILE."""
        ...

    def names(self, path: bytes) -> Iterable[bytes]:
        """The names in a folder, those of whiteouts too, in any order."""
        ...

    def content(self, path: bytes) -> Content:
        """The bytes of a FILE."""
        ...


class MergedTree:
    """A `builder.layer.tree.Tree` over layers, topmost first."""

    def __init__(self, layers: Sequence[LayerView]) -> None:
        self._layers = tuple(layers)
        self._stacks: dict[bytes, tuple[LayerView, ...]] = {}

    def lookup(self, path: bytes) -> Entry | None:
        """The member at a path whose parents are folders; None where there is none. Like lstat."""
        found = self._find(path)
        return found[0].entry if found else None

    def names(self, path: bytes) -> list[bytes]:
        """The names in a folder, in byte order; [] where there is no folder."""
        return [name for name, _, _ in self._members(path)]

    def walk(self, path: bytes) -> Iterator[Entry]:
        """All below a folder, parents first, in byte order; a further name of a file is a HARDLINK to the first."""
        first: dict[tuple[int, Hashable], bytes] = {}
        stack = [self._members(path)]
        while stack:
            for _, found, layer in stack[-1]:
                entry = found.entry
                if found.inode is not None:
                    before = first.setdefault((id(layer), found.inode), entry.path)
                    if before is not entry.path:
                        entry = replace(entry, kind=Kind.HARDLINK, link=before, xattrs=())
                yield entry
                if entry.kind is Kind.DIR:
                    stack.append(self._members(entry.path))
                    break
            else:
                stack.pop()

    def content(self, path: bytes) -> Content:
        """The bytes of the file at a path whose parents are folders."""
        found = self._find(path)
        if found is None or found[0].entry.kind is not Kind.FILE:
            raise LayerFault(f"there is no file {path!r} in these layers")
        return found[1].content(path)

    def _members(self, path: bytes) -> Iterator[tuple[bytes, Found, LayerView]]:
        prefix = path + b"/" if path else b""
        names = {name for layer in self._stack(path) for name in layer.names(path)}
        for name in sorted(names):
            found = self._find(prefix + name)
            if found is not None:
                yield name, *found

    def _find(self, path: bytes) -> tuple[Found, LayerView] | None:
        implied: tuple[Found, LayerView] | None = None
        for layer in self._stack(path.rpartition(b"/")[0]) if path else self._layers:
            found = layer.lookup(path)
            if found is None:
                continue
            if found.entry.kind is Kind.WHITEOUT:
                break
            if not found.implied:
                if implied is None or found.entry.kind is Kind.DIR:
                    return found, layer
                break
            implied = implied or (found, layer)
        if not path and implied is None and self._layers:
            return Found(ROOT), self._layers[-1]
        return implied

    def _stack(self, path: bytes) -> tuple[LayerView, ...]:
        """The layers whose folder `path` is part of what is seen there; () where no folder is seen."""
        todo = [path]
        while todo[-1] and todo[-1] not in self._stacks:
            todo.append(todo[-1].rpartition(b"/")[0])
        stack = self._stacks.get(todo[-1], self._layers)
        for step in reversed(todo):
            known = self._stacks.get(step)
            if known is None:
                known = tuple(_folders(stack, step))
                if len(self._stacks) > _CACHED:
                    self._stacks.clear()
                self._stacks[step] = known
            stack = known
        return stack


def _folders(stack: tuple[LayerView, ...], path: bytes) -> Iterator[LayerView]:
    for layer in stack:
        found = layer.lookup(path)
        if found is None:
            continue
        if found.entry.kind is not Kind.DIR:
            return
        yield layer
        if found.opaque:
            return
