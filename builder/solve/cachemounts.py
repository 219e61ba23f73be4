"""CacheMounts: folders that outlive builds, for `RUN --mount=type=cache`; never part of a layer or key.

    caches/<name>/<number>/         what the step sees
    caches/<name>/<number>.lock     flock(2): shared by steps that share it, alone for one that does not; its date says
                                    when it was used last
    caches/<name>/about             what the name stands for: id, base and first owner, as JSON

Only `private` steps that run at the same time have numbers above 0. A folder appears by rename(2), so it is whole or
not there. Whoever uses one also has <name> itself, shared (flock(2)); who deletes <name> has that alone.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from builder.errors import Canceled
from builder.graph.graph import BuildGraph
from builder.graph.operation import Exec, Mount
from builder.layer.remove import remove
from cache import record
from cache.digest import Digest
from cache.errors import Fault
from cache.keylocks import is_named
from cache.wholefile import replace_file, temp_name

_POLL = 0.05  # seconds between two looks at a lock that another step holds
ABOUT = "about"


class About(msgspec.Struct, frozen=True):
    """What a cache is: its id as --mount has it, the vertex and path that it began with, mode and owner at first.

    mode, uid, gid: -1 where the folder has those of what it began with.
    """

    id: str
    base: Digest | None = None
    source: str = "/"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0

    @staticmethod
    def of(mount: Mount, base: Digest | None) -> About:
        source = mount.source if base is not None else "/"  # of an empty one it is a part of the cache that is shown
        return About(mount.id, base, source, mount.mode, mount.uid, mount.gid)

    @property
    def name(self) -> str:
        """The folder's name."""
        return record.digest((self.id, self.base, self.source, self.mode, self.uid, self.gid)).hex[:32]


class CacheMounts:
    """root: absolute path of the folder for all caches, made when needed. canceled: whether to stop waiting.

    restore(name, path): fills an empty folder with what a cache of this name has elsewhere; False if it is nowhere.
    """

    def __init__(
        self,
        root: str,
        canceled: Callable[[], bool] = lambda: False,
        restore: Callable[[str, str], bool] = lambda name, path: False,
    ) -> None:
        self._root, self._canceled, self._restore = root, canceled, restore

    @staticmethod
    def name(mount: Mount, base: Digest | None) -> str:
        """The folder's name. base: the vertex that it is filled from at first."""
        return About.of(mount, base).name

    @contextmanager
    def folder(self, mount: Mount, base: Digest | None, fill: Callable[[str], None]) -> Iterator[str]:
        """The path to mount, as long as the block lasts. fill(path): writes the first content into an empty folder.

        Waits where sharing says so. Raises Canceled while waiting, OSError.
        """
        about = About.of(mount, base)

        def begin(temp: str) -> None:
            if not self._restore(about.name, temp):
                fill(temp)

        with self.locked(about, mount.sharing) as path:
            if not os.path.isdir(path):
                make_whole(path, lambda temp: _begin(temp, mount, begin))
            yield path

    @contextmanager
    def locked(self, about: About, sharing: str = "locked") -> Iterator[str]:
        """The path of a cache's folder, which may not be there yet, held as `sharing` says."""
        parent = os.path.join(self._root, about.name)
        guard = _entered(parent)
        try:
            _note(parent, about)
            path, lock = self._lock(parent, sharing)
            try:
                os.utime(lock)
                yield path
                os.utime(lock)
            finally:
                os.close(lock)
        finally:
            os.close(guard)

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


def cache_names(graph: BuildGraph, targets: Iterable[Digest]) -> frozenset[str]:
    """The names of all caches that the steps of the targets have."""
    names = set()
    for digest in graph.needed(targets):
        vertex = graph.vertices[digest]
        for mount in vertex.operation.mounts if isinstance(vertex.operation, Exec) else ():
            if mount.kind == "cache":
                names.add(About.of(mount, None if mount.input is None else vertex.inputs[mount.input]).name)
    return frozenset(names)


def make_whole(path: str, fill: Callable[[str], None]) -> None:
    """Fill a new folder, then give it its name. Another step that shares it may be first, and wins."""
    temp = temp_name(f"{path}.new-")
    os.mkdir(temp, 0o700)
    try:
        fill(temp)
        os.rename(temp, path)
    except BaseException as error:
        remove_tree(temp)
        if not isinstance(error, OSError) or not os.path.isdir(path):  # else another step that shares it was first
            raise


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it, if it is there."""
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileNotFoundError):
            remove(folder, os.fsencode(os.path.basename(path)))
    finally:
        os.close(folder)


def read_about(parent: str) -> About | None:
    """What a folder of caches says that it is; None where it does not."""
    try:
        with open(os.path.join(parent, ABOUT), "rb") as file:
            return record.decode(file.read(1 << 20), About)
    except (OSError, Fault):
        return None


@contextmanager
def idle(parent: str) -> Iterator[bool]:
    """Whether no step uses any cache of this name; then none can while the block lasts."""
    try:
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield is_named(fd, parent)  # else it was deleted and made again before we had the lock
    finally:
        os.close(fd)


def _begin(temp: str, mount: Mount, fill: Callable[[str], None]) -> None:
    fill(temp)
    if mount.mode >= 0:
        os.chown(temp, mount.uid, mount.gid)
        os.chmod(temp, mount.mode & 0o777)  # as the mkdir of BuildKit's file operations


def _entered(parent: str) -> int:
    """The folder of a name, made if need be, with a shared lock."""
    while True:
        with suppress(FileExistsError):  # somebody deletes it this very moment
            os.makedirs(parent, mode=0o700, exist_ok=True)
        try:
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(fd, fcntl.LOCK_SH)
        try:
            if os.path.samestat(os.fstat(fd), os.stat(parent)):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)  # it was deleted while we waited


def _note(parent: str, about: About) -> None:
    if read_about(parent) != about:
        replace_file(os.path.join(parent, ABOUT), record.encode(about), 0o600)
