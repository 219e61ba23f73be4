"""Blocks: bytes of disk, as du(1) counts them: allocated blocks, a file of several names once."""

from __future__ import annotations

import os
import stat

from builder.layer.opendirs import OpenDirs

_BLOCK = 512  # stat(2), st_blocks


class Blocks:
    """Counts each inode once, however often it is met."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def of(self, path: str) -> int:
        """Of a file or of a folder with all that is in it; 0 where it is gone. What vanishes meanwhile is left out."""
        try:
            status = os.lstat(path)
        except OSError:
            return 0
        return self.own(status) + (self._below(path) if stat.S_ISDIR(status.st_mode) else 0)

    def own(self, status: os.stat_result) -> int:
        """Of one inode, without what is in it."""
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            inode = (status.st_dev, status.st_ino)
            if inode in self._seen:
                return 0
            self._seen.add(inode)
        return status.st_blocks * _BLOCK

    def _below(self, path: str) -> int:
        size = 0
        try:
            dirs = OpenDirs(path)
        except OSError:
            return 0
        with dirs:
            todo = [b""]
            while todo:
                folder = todo.pop()
                try:
                    with os.scandir(dirs.fd(folder)) as found:
                        for child in found:
                            status = child.stat(follow_symlinks=False)
                            size += self.own(status)
                            if stat.S_ISDIR(status.st_mode):
                                name = os.fsencode(child.name)
                                todo.append(folder + b"/" + name if folder else name)
                except OSError:
                    continue
        return size
