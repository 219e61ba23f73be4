"""FolderLayer: a layer that is kept as a folder in overlay form."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import LayerFault
from builder.layer import inode, whiteout, xattrs
from builder.layer.entry import Content, Entry, Kind
from builder.layer.opendirs import OpenDirs
from builder.snapshot.tree import ROOT, Found

_LONGEST = 4000  # a path of PATH_MAX (4096) bytes and more goes by way of descriptors
_ABSENT = (FileNotFoundError, NotADirectoryError)


class FolderLayer:
    """A folder that no one changes any more. It holds no descriptor, so hundreds may be stacked.

    Its members are reached by path: that is safe since MergedTree asks only for members of folders that it has seen
    not to be links, and a committed folder stays as it is.
    """

    def __init__(self, folder: str | bytes, userxattr: bool, stub: str | bytes = b"") -> None:
        """stub: not empty for a whole tree, which hides all below it. It began as a copy of that folder, whose members
        are not shown as long as they are as they came."""
        self._folder, self._stub = os.fsencode(folder), os.fsencode(stub)
        self._opaque = whiteout.opaque_xattr(userxattr)
        self._inherited = whiteout.inherited_xattr(userxattr)

    def lookup(self, path: bytes) -> Found | None:
        try:
            with self._reach(path) as at:
                st = os.lstat(at)
                if self._stub and path and self._is_stub(path, st):
                    return None
                if stat.S_ISCHR(st.st_mode) and st.st_rdev == 0:
                    return Found(Entry(path=path, kind=Kind.WHITEOUT))
                attributes = inode.attribute_names(at, st)
                entry = inode.entry_of(at, path, st, attributes)
                if entry is None:
                    return None
                opaque = self._opaque in attributes and xattrs.value(at, self._opaque) == whiteout.OPAQUE_VALUE
        except _ABSENT:
            return None
        except OSError as error:
            raise self._fault(path, error) from error
        opaque = opaque or bool(self._stub and not path)
        if not path and self._inherited in attributes:
            return Found(ROOT, opaque=opaque, implied=True)
        several = st.st_nlink > 1 and entry.kind is not Kind.DIR
        return Found(entry, opaque=opaque, inode=(st.st_dev, st.st_ino) if several else None)

    def names(self, path: bytes) -> list[bytes]:
        try:
            with self._reach(path) as at:
                return os.listdir(at)
        except OSError as error:
            raise self._fault(path, error) from error

    def content(self, path: bytes) -> Content:
        return _FolderContent(self, path)

    def open(self, path: bytes) -> int:
        """A descriptor of a regular file; the caller closes it."""
        try:
            with self._reach(path) as at:
                return os.open(at, inode.OPEN)
        except OSError as error:
            raise self._fault(path, error) from error

    @contextmanager
    def _reach(self, path: bytes) -> Iterator[bytes]:
        """A path that the kernel takes, however deep the member lies."""
        if len(self._folder) + len(path) < _LONGEST:
            yield self._folder + b"/" + path if path else self._folder
            return
        parent, _, name = path.rpartition(b"/")
        with OpenDirs(self._folder) as dirs:
            yield inode.proc_path(dirs.fd(parent), name)

    def _is_stub(self, path: bytes, st: os.stat_result) -> bool:
        try:
            # Layers have whole seconds, and a folder in which something was made has another time.
            return os.lstat(self._stub + b"/" + path).st_mtime_ns == st.st_mtime_ns
        except OSError:
            return False

    def _fault(self, path: bytes, error: OSError) -> LayerFault:
        return LayerFault(f"cannot read {path!r} in {os.fsdecode(self._folder)}: {error.strerror}")


class _FolderContent:
    __slots__ = ("_layer", "_path")

    def __init__(self, layer: FolderLayer, path: bytes) -> None:
        self._layer, self._path = layer, path

    def chunks(self) -> Iterator[bytes]:
        fd = self._layer.open(self._path)
        try:
            yield from inode.read_chunks(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)
