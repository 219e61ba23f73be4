"""An inode on disk as an Entry, and its bytes as Content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from builder.errors import LayerFault
from builder.layer import xattrs
from builder.layer.entry import Entry, Kind, shown
from builder.layer.opendirs import OpenDirs

CHUNK = 1 << 20

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIR,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHAR,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def lstat(dir_fd: int, name: bytes) -> os.stat_result:
    """stat of a name in an open folder; links are not followed. b"" is the folder itself."""
    if not name:
        return os.fstat(dir_fd)
    return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)


def proc_path(dir_fd: int, name: bytes) -> bytes:
    """A path for calls that have no `at` form (listxattr(2)): the folder is the open one, whatever its name."""
    return b"/proc/self/fd/%d/%b" % (dir_fd, name or b".")


def attribute_names(at: bytes, st: os.stat_result) -> list[bytes]:
    """Names of the extended attributes. Only files and folders can have those that matter (xattr(7))."""
    kind = stat.S_IFMT(st.st_mode)
    if kind == stat.S_IFREG or kind == stat.S_IFDIR:
        return xattrs.names(at)
    return []


def entry_of(at: bytes, path: bytes, st: os.stat_result, attributes: list[bytes]) -> Entry | None:
    """The Entry of an inode; None for a socket, which no layer can hold.

    at: where it is, as an absolute path or by `proc_path`. attributes: names of those found on it.
    """
    kind = _KINDS.get(stat.S_IFMT(st.st_mode))
    if kind is None:
        return None
    return Entry(
        path=path,
        kind=kind,
        mode=st.st_mode & 0o7777,
        uid=st.st_uid,
        gid=st.st_gid,
        mtime=st.st_mtime_ns // 1_000_000_000,
        size=st.st_size if kind is Kind.FILE else 0,
        link=os.readlink(at) if kind is Kind.SYMLINK else b"",
        device=(os.major(st.st_rdev), os.minor(st.st_rdev)) if kind in (Kind.CHAR, Kind.BLOCK) else (0, 0),
        xattrs=xattrs.image_xattrs(at, attributes) if attributes else (),
    )


class InodeContent:
    """The bytes of a regular file beneath an open root; opened when read."""

    __slots__ = ("_dirs", "_name", "_parent", "_size")

    def __init__(self, dirs: OpenDirs, parent: bytes, name: bytes, size: int) -> None:
        self._dirs, self._parent, self._name, self._size = dirs, parent, name, size

    def chunks(self) -> Iterator[bytes]:
        try:
            fd = os.open(self._name, OPEN, dir_fd=self._dirs.fd(self._parent))
        except OSError as error:
            raise LayerFault(f"cannot read {shown(self._name)} in {shown(self._parent)}: {error.strerror}") from error
        try:
            yield from read_chunks(fd, self._size)
        finally:
            os.close(fd)


def read_chunks(fd: int, size: int) -> Iterator[bytes]:
    """The bytes of an open file that is expected to have `size` of them; stops early or late if it has not."""
    left = size
    while True:
        # One byte more than is expected, so that a file that grew is seen and the end costs no extra call.
        data = os.read(fd, min(CHUNK, left + 1))
        if data:
            yield data
        left -= len(data)
        if not data or left < 0 or (left == 0 and len(data) < CHUNK):
            return
