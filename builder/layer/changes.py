"""What an overlay's upper folder changed, as a stream of members.

The order, which decides diff_ids: a folder comes before what is in it; in a folder first its opaque mark, then
whiteouts, then everything else, each in byte order of names, every subtree whole before the next name. Sockets are
left out. Of the names of one inode, the first in this order is the file and the others are hard links to it.
Which extended attributes are kept is said in `builder.layer.xattrs`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from builder.errors import LayerFault
from builder.layer import inode, whiteout, xattrs
from builder.layer.entry import Entry, Item, Kind, shown
from builder.layer.opendirs import OpenDirs

_REDIRECTS = (b"redirect", b"metacopy")


def upper_changes(
    upper: int | str | bytes,
    userxattr: bool,
    *,
    root: Entry | None = None,
    hides: Callable[[bytes], bool] | None = None,
) -> Iterator[Item]:
    """Members of the layer that the upper folder (a path, or a descriptor) holds.

    userxattr: the overlay was mounted with that option. root: the root's entry before the step; the root is a member
    only if its mode, owner or attributes differ (never, when None). hides(path): whether the layers below have a folder
    there; without it every opaque folder gets its mark, and the kernel makes most new folders opaque.
    """
    with OpenDirs(upper) as dirs:
        walk = _Walk(dirs, userxattr, hides)
        if root is not None:
            yield from walk.root(root)
        yield from walk.members()


def link_to_first(entry: Entry, first: bytes) -> Entry:
    """The entry of a further name of an inode whose first name is a member already."""
    return Entry(
        path=entry.path,
        kind=Kind.HARDLINK,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime=entry.mtime,
        link=first,
    )


class _Walk:
    def __init__(self, dirs: OpenDirs, userxattr: bool, hides: Callable[[bytes], bool] | None) -> None:
        self._dirs, self._hides = dirs, hides
        self._opaque = whiteout.opaque_xattr(userxattr)
        self._marks = b"user.overlay." if userxattr else b"trusted.overlay."
        self._first: dict[tuple[int, int], bytes] = {}

    def root(self, before: Entry) -> Iterator[Item]:
        fd = self._dirs.fd(b"")
        st = os.fstat(fd)
        at = inode.proc_path(fd, b"")
        entry = inode.entry_of(at, b"", st, inode.attribute_names(at, st))
        if entry is not None and (entry.mode, entry.uid, entry.gid, entry.xattrs) != (
            before.mode, before.uid, before.gid, before.xattrs,
        ):  # fmt: skip
            yield entry, None

    def members(self) -> Iterator[Item]:
        stack = [self._folder(b"")]
        while stack:
            for item in stack[-1]:
                yield item
                if item[0].kind is Kind.DIR:
                    stack.append(self._folder(item[0].path))
                    break
            else:
                stack.pop()

    def _folder(self, parent: bytes) -> Iterator[Item]:
        fd = self._dirs.fd(parent)
        prefix = parent + b"/" if parent else b""
        names = sorted(map(os.fsencode, os.listdir(fd)))
        found = [(name, os.stat(name, dir_fd=fd, follow_symlinks=False)) for name in names]
        if self._is_opaque(fd, parent):
            yield Entry(path=parent, kind=Kind.OPAQUE), None
        rest = []
        for name, st in found:
            if stat.S_ISCHR(st.st_mode) and st.st_rdev == 0:
                yield Entry(path=prefix + name, kind=Kind.WHITEOUT), None
            else:
                rest.append((name, st))
        for name, st in rest:
            item = self._member(parent, name, prefix + name, st)
            if item is not None:
                yield item

    def _is_opaque(self, fd: int, path: bytes) -> bool:
        if xattrs.value(fd, self._opaque) != whiteout.OPAQUE_VALUE:
            return False
        return self._hides is None or self._hides(path)

    def _member(self, parent: bytes, name: bytes, path: bytes, st: os.stat_result) -> Item | None:
        at = inode.proc_path(self._dirs.fd(parent), name)
        attributes = inode.attribute_names(at, st)
        for attribute in attributes:
            if attribute.startswith(self._marks) and attribute[len(self._marks) :] in _REDIRECTS:
                raise LayerFault(
                    f"{shown(path)} was written by an overlay with {attribute.decode()}, which no layer can hold",
                    "turn redirect_dir and metacopy of the overlay module off",
                )
        entry = inode.entry_of(at, path, st, attributes)
        if entry is None or entry.kind is Kind.DIR:
            return (entry, None) if entry else None
        if st.st_nlink > 1:
            first = self._first.setdefault((st.st_dev, st.st_ino), path)
            if first is not path:
                return link_to_first(entry, first), None
        if entry.kind is Kind.FILE:
            return entry, inode.InodeContent(self._dirs, parent, name, entry.size)
        return entry, None
