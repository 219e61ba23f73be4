"""CacheMounts: folders that outlive builds, for `RUN --mount=type=cache`; never part of a layer or key.

    caches/<name>/<number>/         what the step sees
    caches/<name>/<number>.lock     flock(2): shared by steps that share it, alone for one that does not

A name stands for id, base and first owner of a cache. Only `private` steps that run at the same time have numbers
above 0. A folder appears by rename(2), so it is whole or not there.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builder.errors import Canceled
from builder.graph.operation import Mount
from builder.layer.remove import remove
from cache import record
from cache.digest import Digest
from cache.wholefile import temp_name

_POLL = 0.05  # seconds between two looks at a lock that another step holds


class CacheMounts:
    """root: absolute path of the folder for all caches, made when needed. canceled: whether to stop waiting."""

    def __init__(self, root: str, canceled: Callable[[], bool]) -> None:
        self._root, self._canceled = root, canceled

    @staticmethod
    def name(mount: Mount, base: Digest | None) -> str:
        """The folder's name. base: the vertex that it is filled from at first."""
        return record.digest((mount.id, base, mount.source, mount.mode, mount.uid, mount.gid)).hex[:32]

    @contextmanager
    def folder(self, mount: Mount, base: Digest | None, fill: Callable[[str], None]) -> Iterator[str]:
        """The path to mount, as long as the block lasts. fill(path): writes the first content into an empty folder.

        Waits where sharing says so. Raises Canceled while waiting, OSError.
        """
        parent = os.path.join(self._root, self.name(mount, base))
        os.makedirs(parent, mode=0o700, exist_ok=True)
        path, lock = self._lock(parent, mount.sharing)
        try:
            if not os.path.isdir(path):
                _make(path, mount, fill)
            yield path
        finally:
            os.close(lock)

    def _lock(self, parent: str, sharing: str) -> tuple[str, int]:
        kind = fcntl.LOCK_SH if sharing == "shared" else fcntl.LOCK_EX
        for number in itertools.count() if sharing == "private" else itertools.repeat(0):
            path = os.path.join(parent, str(number))
            fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                return path, fd
            except BlockingIOError:
                os.close(fd)
            if self._canceled():
                raise Canceled("canceled")
            if sharing != "private":
                time.sleep(_POLL)
        raise AssertionError("endless")


def _make(path: str, mount: Mount, fill: Callable[[str], None]) -> None:
    temp = temp_name(f"{path}.new-")
    os.mkdir(temp, 0o700)
    try:
        fill(temp)
        os.chown(temp, mount.uid, mount.gid)
        os.chmod(temp, mount.mode)
        os.rename(temp, path)
    except BaseException as error:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(folder, os.fsencode(os.path.basename(temp)))
        finally:
            os.close(folder)
        if not isinstance(error, OSError) or not os.path.isdir(path):  # else another step that shares it was first
            raise
