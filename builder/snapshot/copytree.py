"""Copying a whole tree with all that makes it: owners, modes, times, attributes, hard links, holes; blocks shared
with the original where the file system can (ioctl_ficlone(2), copy_file_range(2))."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from builder.errors import LayerFault
from builder.layer import inode, xattrs
from builder.layer.opendirs import OpenDirs

_FICLONE = 0x40049409
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)


def copy_tree(source: str, target: str) -> None:
    """Copy what is in folder `source` into the empty folder `target`, and the folder's own metadata. Sockets are
    left out. Raises LayerFault."""
    with OpenDirs(source) as old, OpenDirs(target) as new:
        try:
            _Copy(old, new).run()
        except OSError as error:
            raise LayerFault(f"cannot copy {source} to {target}: {error}") from error


class _Copy:
    def __init__(self, old: OpenDirs, new: OpenDirs) -> None:
        self._old, self._new = old, new
        self._first: dict[tuple[int, int], bytes] = {}

    def run(self) -> None:
        todo, done = [b""], []
        while todo:
            folder = todo.pop()
            done.append(folder)
            prefix = folder + b"/" if folder else b""
            for name in map(os.fsencode, os.listdir(self._old.fd(folder))):
                if self._member(folder, name, prefix + name):
                    todo.append(prefix + name)
        for folder in reversed(done):  # a folder's time is set when nothing is made in it any more
            self._metadata_of_folder(folder)

    def _member(self, folder: bytes, name: bytes, path: bytes) -> bool:
        """Copy one member; True for a folder, which is made but not filled."""
        old, new = self._old.fd(folder), self._new.fd(folder)
        st = inode.lstat(old, name)
        kind = stat.S_IFMT(st.st_mode)
        if kind == stat.S_IFSOCK:
            return False
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=new)
            return True
        if st.st_nlink > 1:
            first = self._first.setdefault((st.st_dev, st.st_ino), path)
            if first is not path:
                self._link(first, folder, name)
                return False
        if kind == stat.S_IFREG:
            self._file(old, new, name, st)
            return False
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=old), name, dir_fd=new)
        else:
            os.mknod(name, kind | 0o600, st.st_rdev, dir_fd=new)
        os.chown(name, st.st_uid, st.st_gid, dir_fd=new, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(inode.proc_path(new, name), stat.S_IMODE(st.st_mode))
        os.utime(name, ns=(st.st_mtime_ns, st.st_mtime_ns), dir_fd=new, follow_symlinks=False)
        return False

    def _link(self, first: bytes, folder: bytes, name: bytes) -> None:
        parent, _, last = first.rpartition(b"/")
        own = os.dup(self._new.fd(folder))
        try:
            os.link(last, name, src_dir_fd=self._new.fd(parent), dst_dir_fd=own, follow_symlinks=False)
        finally:
            os.close(own)

    def _file(self, old: int, new: int, name: bytes, st: os.stat_result) -> None:
        source = os.open(name, inode.OPEN, dir_fd=old)
        try:
            target = os.open(name, _NEW, 0o600, dir_fd=new)
            try:
                _copy_bytes(source, target, st.st_size)
                _copy_metadata(source, target, st)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _metadata_of_folder(self, folder: bytes) -> None:
        old, new = self._old.fd(folder), self._new.fd(folder)
        _copy_metadata(old, new, os.fstat(old))


def _copy_metadata(old: int, new: int, st: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.fchown(new, st.st_uid, st.st_gid)
    for name, value in xattrs.image_xattrs(old, xattrs.names(old)):
        os.setxattr(new, name, value)
    os.fchmod(new, stat.S_IMODE(st.st_mode))
    os.utime(new, ns=(st.st_mtime_ns, st.st_mtime_ns))


def _copy_bytes(source: int, target: int, size: int) -> None:
    if not size:
        return
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
    at = 0
    while at < size:
        try:
            data = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                break
            raise
        end = os.lseek(source, data, os.SEEK_HOLE)
        _copy_range(source, target, data, end)
        at = end
    os.ftruncate(target, size)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        done = os.copy_file_range(source, target, end - start, start, start)
        if not done:
            raise OSError(errno.EIO, "file became shorter while it was copied")
        start += done
