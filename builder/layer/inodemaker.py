"""A member becomes an inode, in an open folder in which nothing has its name yet."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from builder.errors import LayerFault
from builder.layer import inode, whiteout, xattrs
from builder.layer.entry import Content, Entry, Kind, shown
from builder.layer.opendirs import OpenDirs

SECOND = 10**9  # ns
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HOLE = 64 << 10
_ZEROS = bytes(1 << 20)
_UNMAPPED = (errno.EINVAL, errno.EPERM)
_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.ERANGE)
_NODES = {Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


class InodeMaker:
    """owners, devices, xattrs: of how many members these could not be kept."""

    def __init__(self, dirs: OpenDirs, nodes: bool) -> None:
        """dirs: where targets of hard links are looked for. nodes: make device nodes, else count them."""
        self._dirs, self._nodes = dirs, nodes
        self.owners = self.devices = self.xattrs = 0

    def make(self, fd: int, name: bytes, entry: Entry, content: Content | None) -> bool:
        """Make anything but a folder; False if it was left out. Raises FileExistsError where the name is taken."""
        kind = entry.kind
        if kind is Kind.FILE:
            self._file(fd, name, entry, content)
            return True
        if kind is Kind.HARDLINK:
            self._hardlink(fd, name, entry)
            return True
        if kind is Kind.SYMLINK:
            os.symlink(entry.link, name, dir_fd=fd)
        else:
            if kind is not Kind.FIFO and (not self._nodes or entry.device == whiteout.DEVICE):
                self.devices += 1
                return False
            try:
                os.mknod(name, _NODES[kind] | 0o600, os.makedev(*entry.device), dir_fd=fd)
            except PermissionError:
                self.devices += 1
                return False
        self._owner(lambda: os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False))
        if kind is not Kind.SYMLINK:
            os.chmod(inode.proc_path(fd, name), entry.mode)
        times = (entry.mtime * SECOND,) * 2
        os.utime(name, ns=times, dir_fd=fd, follow_symlinks=False)
        return True

    def _file(self, dir_fd: int, name: bytes, entry: Entry, content: Content | None) -> None:
        fd = os.open(name, _NEW, 0o600, dir_fd=dir_fd)
        try:
            if entry.size:
                _write(fd, entry, content)
            self.attributes(fd, entry)
            os.fchmod(fd, entry.mode)
            os.utime(fd, ns=(entry.mtime * SECOND,) * 2)
        finally:
            os.close(fd)

    def _hardlink(self, fd: int, name: bytes, entry: Entry) -> None:
        target, _, last = entry.link.rpartition(b"/")
        if b".." in entry.link.split(b"/") or entry.link.startswith(b"/"):
            raise LayerFault(f"hard link {shown(entry.path)} leaves the root: {shown(entry.link)}")
        try:
            # A copy of the descriptor, since opening the target's folder may close the one that it was.
            own = os.dup(fd)
            try:
                os.link(last, name, src_dir_fd=self._dirs.fd(target), dst_dir_fd=own, follow_symlinks=False)
            finally:
                os.close(own)
        except FileExistsError:
            raise
        except OSError as error:
            raise LayerFault(
                f"hard link {shown(entry.path)} points to {shown(entry.link)}: {error.strerror}"
            ) from error

    def attributes(self, fd: int, entry: Entry) -> None:
        """Give an open file or folder its owner and extended attributes."""
        self._owner(lambda: os.fchown(fd, entry.uid, entry.gid))
        lost = False
        for name, value in entry.xattrs:
            if not xattrs.kept(name):
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                lost = True
        self.xattrs += lost

    def _owner(self, change: Callable[[], None]) -> None:
        try:
            change()
        except OSError as error:
            if error.errno not in _UNMAPPED:
                raise
            self.owners += 1


def _write(fd: int, entry: Entry, content: Content | None) -> None:
    left = entry.size
    hole = False
    for data in content.chunks() if content is not None else ():
        left -= len(data)
        if left < 0:
            break
        hole = len(data) >= _HOLE and _ZEROS.startswith(data)
        if hole:
            os.lseek(fd, len(data), os.SEEK_CUR)
            continue
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    if left:
        raise LayerFault(f"content of {shown(entry.path)} is not as long as its entry says")
    if hole:
        os.ftruncate(fd, entry.size)
