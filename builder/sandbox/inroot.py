"""Paths inside a root that is not trusted: every component is opened by descriptor, links are followed by us and stay
inside (openat(2) with O_PATH | O_NOFOLLOW), and what is made for a mount is remembered, to be taken away again.

Nothing but the standard library and linux.py: init.py imports it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from builder.sandbox import linux
from builder.sandbox.linux import at

_PATH_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = 40  # as in path_resolution(7)


class Stub:
    """Something that was not in the root: made as a mount point. parent: its folder; times: the folder's before."""

    def __init__(self, parent: int, name: str, is_dir: bool) -> None:
        status = os.stat(parent)
        self.parent, self.name, self.is_dir = os.dup(parent), name, is_dir
        self.times = (status.st_atime_ns, status.st_mtime_ns)

    def remove(self) -> None:
        """Unmount what is on it and take it away if it is still empty; the folder gets its times back."""
        os.fchdir(self.parent)
        with contextlib.suppress(OSError):  # nothing is mounted on it any more, or it only led to what was
            while True:  # one target may have several mounts
                linux.umount2(self.name, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW)
        try:
            if self.is_dir:
                os.rmdir(self.name, dir_fd=self.parent)
            elif os.stat(self.name, dir_fd=self.parent, follow_symlinks=False).st_size == 0:
                os.unlink(self.name, dir_fd=self.parent)
            else:
                return
            os.utime(f"/proc/self/fd/{self.parent}", ns=self.times)
        except OSError:
            return  # a step put something in it: it is the step's now


class InRoot:
    """root: descriptor of the root folder. stubs: what was made, in order.

    procfs: st_dev of the one inside, whose absolute links are not followed: they name things outside (proc_pid_fd(5)).
    """

    def __init__(self, root: int, procfs: int = -1) -> None:
        self._root, self._procfs = root, procfs
        self.stubs: list[Stub] = []

    def target(self, path: str, *, is_dir: bool) -> int:
        """An O_PATH descriptor of a mount point, which is made, with its parents, if it is missing."""
        return self._walk(path, is_dir=is_dir)

    def found(self, path: str) -> int:
        """An O_PATH descriptor of what is at path, links followed inside the root. OSError if it is missing."""
        return self._walk(path, is_dir=None)

    def existing(self, path: str) -> int | None:
        """An O_PATH descriptor of what is at path, links not followed; None if it is missing or behind a link."""
        fd = os.dup(self._root)
        for part in _parts(path):
            try:
                below = os.open(part, _PATH_FLAGS, dir_fd=fd)
            except (FileNotFoundError, NotADirectoryError):
                return None
            finally:
                os.close(fd)
            fd = below
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return fd

    def folder(self, path: str) -> int:
        """A mount point that must be a folder by its own name: a link there is an attack (as in CVE-2019-16884)."""
        fd = self.existing(path)
        if fd is None:
            fd = self.target(path, is_dir=True)
            if os.readlink(at(fd)).rpartition("/")[2] != path.rpartition("/")[2]:
                raise OSError(errno.ELOOP, "is a link in the image, which it may not be", "/" + path)
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.ENOTDIR, "is not a folder in the image", "/" + path)
        return fd

    def _walk(self, path: str, *, is_dir: bool | None) -> int:
        """is_dir: what to make of what is missing; None to make nothing and take what is there."""
        todo = list(reversed(_parts(path)))
        open_folders = [os.dup(self._root)]
        links = 0
        try:
            while todo:
                part = todo.pop()
                if part == "..":
                    if len(open_folders) > 1:
                        os.close(open_folders.pop())
                    continue
                fd = self._open(open_folders[-1], part, is_dir=is_dir if is_dir is None else is_dir or bool(todo))
                status = os.fstat(fd)
                if not stat.S_ISLNK(status.st_mode):
                    open_folders.append(fd)
                    continue
                links += 1
                if links > _LINKS:
                    raise OSError(40, "Too many levels of symbolic links", path)
                text = os.readlink("", dir_fd=fd)
                os.close(fd)
                if text.startswith("/"):
                    if status.st_dev == self._procfs:
                        raise OSError(errno.ELOOP, "leads through a link of procfs", path)
                    while len(open_folders) > 1:
                        os.close(open_folders.pop())
                todo.extend(reversed(_parts(text)))
            found = open_folders.pop()
        finally:
            for fd in open_folders:
                os.close(fd)
        if is_dir is not None and stat.S_ISDIR(os.fstat(found).st_mode) != is_dir:
            os.close(found)
            raise OSError(20, "mount point is a file where a folder is wanted, or the reverse", path)
        return found

    def _open(self, folder: int, name: str, *, is_dir: bool | None) -> int:
        try:
            return os.open(name, _PATH_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            if is_dir is None:
                raise
        stub = Stub(folder, name, is_dir)
        if is_dir:
            os.mkdir(name, 0o755, dir_fd=folder)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder))
        self.stubs.append(stub)
        return os.open(name, _PATH_FLAGS, dir_fd=folder)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
