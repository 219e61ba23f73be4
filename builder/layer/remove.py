"""Removing a whole tree beneath an open folder, however deep, without following a link."""

from __future__ import annotations

import os
import stat

from builder.layer.opendirs import OpenDirs


def remove(dir_fd: int, name: bytes) -> None:
    """Remove a file or a folder with all that is in it; raises OSError (ENOENT if it is not there)."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=dir_fd)
        return
    with OpenDirs(dir_fd) as dirs:
        todo = [name]
        while todo:
            folder = todo[-1]
            inner = _empty(dirs, folder)
            if inner:
                todo += [folder + b"/" + child for child in inner]
                continue
            todo.pop()
            parent, _, last = folder.rpartition(b"/")
            os.rmdir(last, dir_fd=dirs.fd(parent))


def _empty(dirs: OpenDirs, folder: bytes) -> list[bytes]:
    """Remove all but the folders of one folder; gives their names."""
    fd = dirs.fd(folder)
    inner = []
    with os.scandir(fd) as found:
        for child in found:
            if child.is_dir(follow_symlinks=False):
                inner.append(os.fsencode(child.name))
            else:
                os.unlink(child.name, dir_fd=fd)
    return inner
