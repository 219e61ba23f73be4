"""What changed between two plain trees, as the same stream of members that an overlay's upper folder gives.

The second tree began as a copy of the first. A change that leaves size and times as they were is still found: the
inode change time (ctime, inode(7)) cannot be set back, so a file that is younger than the copy is read and compared.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from builder.layer import inode
from builder.layer.changes import link_to_first
from builder.layer.entry import Entry, Item, Kind
from builder.layer.opendirs import OpenDirs

_Names = list[tuple[bytes, os.stat_result]]


def tree_changes(before: str | bytes, after: str | bytes, since_ns: int = 0) -> Iterator[Item]:
    """Members that make `after` out of `before`, deleted ones as WHITEOUT; order as in `builder.layer.changes`.

    since_ns: a ctime taken when the copy was complete; files with an older one are taken as unchanged without being
    read. 0 compares everything. A folder is a member if it or something in it changed.
    """
    with OpenDirs(before) as old, OpenDirs(after) as new:
        yield from _Comparison(old, new, since_ns).members()


class _Comparison:
    def __init__(self, old: OpenDirs, new: OpenDirs, since_ns: int) -> None:
        self._old, self._new, self._since = old, new, since_ns
        self._first: dict[tuple[int, int], bytes] = {}

    def members(self) -> Iterator[Item]:
        held: list[Entry] = []  # unchanged folders, outermost first, shown once something in them is
        root = self._member(b"", b"", os.fstat(self._new.fd(b"")), os.fstat(self._old.fd(b"")))
        if root is not None:
            yield root
        stack = [self._folder(b"", True)]
        while stack:
            for item, changed, inside in stack[-1]:
                entry = item[0]
                while held and not entry.path.startswith(held[-1].path + b"/"):
                    held.pop()
                if entry.kind is Kind.DIR and not changed:
                    held.append(entry)
                else:
                    for folder in held:
                        yield folder, None
                    held.clear()
                    yield item
                if entry.kind is Kind.DIR:
                    stack.append(self._folder(entry.path, inside))
                    break
            else:
                stack.pop()

    def _folder(self, parent: bytes, both: bool) -> Iterator[tuple[Item, bool, bool]]:
        """(member, whether it changed, whether it is a folder in both trees) of one folder."""
        prefix = parent + b"/" if parent else b""
        old = dict(_names(self._old, parent)) if both else {}
        new = _names(self._new, parent)
        kept = {name for name, st in new if not stat.S_ISSOCK(st.st_mode)}
        for name in sorted(old.keys() - kept):
            if not stat.S_ISSOCK(old[name].st_mode):
                yield (Entry(path=prefix + name, kind=Kind.WHITEOUT), None), True, False
        for name, st in new:
            path, was = prefix + name, old.get(name)
            item = self._member(path, name, st, was)
            if item is not None:
                yield item, True, was is not None and stat.S_ISDIR(was.st_mode)
            elif stat.S_ISDIR(st.st_mode):
                entry = self._entry(self._new, path, st)
                if entry is not None:
                    yield (entry, None), False, True

    def _member(self, path: bytes, name: bytes, st: os.stat_result, was: os.stat_result | None) -> Item | None:
        """The member at `path`, if it is new or changed."""
        if was is not None and st.st_ctime_ns < self._since:
            return None
        entry = self._entry(self._new, path, st)
        if entry is None:
            return None
        if was is not None and self._same(path, st, was, entry):
            return None
        if st.st_nlink > 1 and entry.kind is not Kind.DIR:
            first = self._first.setdefault((st.st_dev, st.st_ino), path)
            if first is not path:
                return link_to_first(entry, first), None
        if entry.kind is Kind.FILE:
            return entry, inode.InodeContent(self._new, path.rpartition(b"/")[0], name, entry.size)
        return entry, None

    def _entry(self, dirs: OpenDirs, path: bytes, st: os.stat_result) -> Entry | None:
        parent, _, name = path.rpartition(b"/")
        at = inode.proc_path(dirs.fd(parent), name)
        return inode.entry_of(at, path, st, inode.attribute_names(at, st))

    def _same(self, path: bytes, st: os.stat_result, was: os.stat_result, entry: Entry) -> bool:
        if not stat.S_ISDIR(st.st_mode) and (
            st.st_mtime_ns != was.st_mtime_ns
            or st.st_nlink > max(was.st_nlink, 1)  # a new name of an old file: both go into the layer, as in overlay
        ):
            return False
        if entry.kind is Kind.DIR and path and st.st_mtime_ns // 10**9 != was.st_mtime_ns // 10**9:
            return False
        before = self._entry(self._old, path, was)
        if before is None or (entry.kind is Kind.DIR and _apart_from_time(entry) != _apart_from_time(before)):
            return False
        if entry.kind is Kind.DIR:
            return True
        return entry == before and (entry.kind is not Kind.FILE or self._same_bytes(path, entry.size))

    def _same_bytes(self, path: bytes, size: int) -> bool:
        parent, _, name = path.rpartition(b"/")
        ours = inode.InodeContent(self._new, parent, name, size).chunks()
        theirs = inode.InodeContent(self._old, parent, name, size).chunks()
        return all(a == b for a, b in _pairs(ours, theirs))


def _pairs(ours: Iterator[bytes], theirs: Iterator[bytes]) -> Iterator[tuple[bytes | None, bytes | None]]:
    while True:
        pair = next(ours, None), next(theirs, None)
        if pair == (None, None):
            return
        yield pair


def _apart_from_time(entry: Entry) -> tuple[object, ...]:
    return entry.kind, entry.mode, entry.uid, entry.gid, entry.xattrs


def _names(dirs: OpenDirs, path: bytes) -> _Names:
    fd = dirs.fd(path)
    names = sorted(map(os.fsencode, os.listdir(fd)))
    return [(name, os.stat(name, dir_fd=fd, follow_symlinks=False)) for name in names]
