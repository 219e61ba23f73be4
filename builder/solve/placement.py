"""Placement: the members that a COPY or ADD puts on a tree, collected by path before one byte is read.

Nothing is written and no tree needs to be on disk: the tree copied onto is only asked what it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from builder.errors import LayerFault, SourceFault
from builder.graph.operation import Copy
from builder.layer.entry import Content, Entry, Item, Kind
from builder.layer.tree import Tree
from builder.solve.chmod import mode_change, octal

New = tuple[int, tuple[int, int]]
"""Mode and owner of a folder that is made."""

Member = tuple[Entry, Content | tuple[Any, int] | None]
"""An entry, and its bytes: a Content, or (archive, number of the member in it)."""


class Placement:
    """Collects the members of one layer by their path; a later source replaces what an earlier one put there."""

    def __init__(self, base: Tree, operation: Copy, ids: tuple[int, int] | None, mtime: int) -> None:
        self._base = base
        self._ids = ids
        self._mtime = mtime
        self._change = mode_change(operation.chmod)
        given = octal(operation.chmod) if operation.chmod else None
        self._new_dir_mode = 0o755 if given is None else given & 0o777  # mkdir(2) of Go knows no other bits
        self._items: dict[bytes, Member] = {}
        self._fresh: set[bytes] = set()  # folders that the base lacks: all in them is of this layer
        self._within: dict[bytes, set[bytes]] | None = None  # paths by folder, once a folder is taken away

    @property
    def ids(self) -> tuple[int, int] | None:
        """The owner that --chown gives to everything, if it was given."""
        return self._ids

    def members(self) -> Iterator[Member]:
        """Everything collected, parents first, in byte order of the names."""
        return (self._items[path] for path in sorted(self._items, key=_order))

    def own(self, path: bytes) -> Member | None:
        """What this layer puts at path."""
        return self._items.get(path)

    def items(self) -> Iterator[Item]:
        """Parents first, in byte order of their names; a hard link after its target."""
        late: list[Item] = []
        for entry, content in self.members():
            assert not isinstance(content, tuple)  # archives are emitted by unpacking.extracted()
            if entry.kind is Kind.HARDLINK:
                late.append((entry, content))
            else:
                yield entry, content
        yield from late

    def lookup(self, path: bytes) -> Entry | None:
        """What is at path once the layer lies on the base."""
        mine = self._items.get(path)
        if mine is not None:
            return mine[0]
        parent = path
        if path.rpartition(b"/")[0] in self._fresh:
            return None
        while parent:
            parent = parent.rpartition(b"/")[0]
            mine = self._items.get(parent)
            if mine is not None and mine[0].kind is not Kind.DIR:
                return None
        return self._base.lookup(path)

    def make_parents(self, path: bytes, new: New | None = None) -> None:
        """See that every folder above path is in the layer: as the base has it, else new."""
        parent = path.rpartition(b"/")[0]
        if parent or path:
            self.make_dir(parent, new)

    def make_dir(self, path: bytes, new: New | None = None) -> None:
        """new: of folders that are missing; else it is as --chmod and --chown say."""
        mine = self._items.get(path)
        if mine is not None and mine[0].kind is not Kind.DIR:
            raise SourceFault(f"cannot copy to non-directory: /{path.decode(errors='backslashreplace')}")
        if not path or mine is not None:
            return
        self.make_parents(path, new)
        existing = self._base_folder(path)
        mode, (uid, gid) = new or (self._new_dir_mode, self._ids or (0, 0))
        made = Entry(path=path, kind=Kind.DIR, mode=mode, uid=uid, gid=gid, mtime=self._mtime)
        self._put(path, (existing or made, None))
        if existing is None:
            self._fresh.add(path)

    def _base_folder(self, path: bytes) -> Entry | None:
        entry = self._base.lookup(path)
        if entry is not None and entry.kind is not Kind.DIR:
            raise SourceFault(f"cannot copy to non-directory: /{path.decode(errors='backslashreplace')}")
        return entry

    def put_dir(self, path: bytes, source: Entry) -> None:
        """A nested folder of a source: its mode, owner and xattrs replace those of an existing one."""
        existing = self.lookup(path)
        if existing is not None and existing.kind is not Kind.DIR:
            raise SourceFault(f"cannot copy to non-directory: /{path.decode(errors='backslashreplace')}")
        self.make_parents(path)
        self._put(path, (self._as_mine(path, source, b""), None))
        if existing is None:
            self._fresh.add(path)

    def put_file(self, path: bytes, source: Entry, content: Content | None, link: bytes = b"") -> None:
        """Anything but a folder. link: new path of a hard link's target."""
        existing = self.lookup(path)
        if existing is not None and existing.kind is Kind.DIR:
            raise SourceFault(f"cannot replace to directory /{path.decode(errors='backslashreplace')} with file")
        self._check_name(path, source)
        self.make_parents(path)
        self._put(path, (self._as_mine(path, source, link), content))

    def put_member(
        self, path: bytes, source: Entry, link: bytes, ids: tuple[int, int] | None, origin: tuple[Any, int]
    ) -> None:
        """A member of an archive: as the archive has it, but for --chown. Folders alone are merged."""
        existing = self.lookup(path)
        if existing is not None and (existing.kind is not Kind.DIR or source.kind is not Kind.DIR):
            self._take_away(path)
        self._check_name(path, source)
        self.make_parents(path, (0o755, (0, 0)))
        uid, gid = ids or (source.uid, source.gid)
        member = msgspec.structs.replace(source, path=path, uid=uid, gid=gid, link=link or source.link)
        self._put(path, (member, origin))

    def _take_away(self, path: bytes) -> None:
        """Forget what this layer has at path and below; what the base has there is hidden by what comes."""
        mine = self._items.pop(path, None)
        if mine is None or mine[0].kind is not Kind.DIR:
            return
        if self._within is None:
            self._within = {}
            for name in self._items:
                self._within.setdefault(name.rpartition(b"/")[0], set()).add(name)
        todo = [path]
        while todo:
            names = self._within.pop(todo.pop(), set())
            todo += [name for name in names if self._items.pop(name, None) is not None]

    def _put(self, path: bytes, member: Member) -> None:
        self._items[path] = member
        if self._within is not None:
            self._within.setdefault(path.rpartition(b"/")[0], set()).add(path)

    def _check_name(self, path: bytes, source: Entry) -> None:
        if source.kind is not Kind.DIR and path.rpartition(b"/")[2].startswith(b".wh."):
            raise LayerFault(
                f"/{path.decode(errors='backslashreplace')} cannot be in a layer: names with .wh. mark deleted files",
                "rename the file, or list it in .dockerignore",
            )

    def _as_mine(self, path: bytes, source: Entry, link: bytes) -> Entry:
        uid, gid = self._ids or (source.uid, source.gid)
        kind = source.kind
        mode = source.mode if kind is Kind.SYMLINK else self._change(source.mode, kind is Kind.DIR)
        if kind is Kind.HARDLINK and not link:
            kind = Kind.FILE
        return Entry(
            path=path,
            kind=kind,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime=source.mtime,
            size=source.size if kind is Kind.FILE else 0,
            link=source.link if kind is Kind.SYMLINK else link,
            device=source.device,
            xattrs=source.xattrs,
        )


def _order(path: bytes) -> bytes:
    return path.replace(b"/", b"\0")
