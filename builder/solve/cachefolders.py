"""CacheFolders: the caches of `RUN --mount=type=cache` from outside: which there are, out as archives, in from them."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec.structs import replace

from builder.errors import OutputFault, SourceFault
from builder.layer.entry import Entry, Item, Kind
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from builder.layer.pack import tar_chunks
from builder.layer.tarread import Readable
from builder.layer.unpack import Unpacked, apply_plain
from builder.snapshot.folderlayer import FolderLayer
from builder.snapshot.gather import all_of
from builder.snapshot.tree import MergedTree
from builder.solve.cachemounts import About, CacheMounts, idle, read_about, remove_tree
from cache import record
from cache.errors import Fault
from cache.wholefile import temp_name

_MODE = 0o755  # of the root, where an archive does not say
_ABOUT = b"user.lapstrake.about"  # attribute of an archive's root: what the cache is


class Cache(msgspec.Struct, frozen=True):
    """name: of its folder. about: None where that is not known. path: what steps see, which may not be there."""

    name: str
    about: About | None
    path: str

    @property
    def id(self) -> str:
        return self.about.id if self.about is not None else ""


class CacheFolders:
    """root: the folder for all caches. scratch: a folder on the same disk, for what is being taken apart.

    canceled: whether to stop waiting for a cache that a step uses, which is then Canceled.
    """

    def __init__(self, root: str, scratch: str, canceled: Callable[[], bool] = lambda: False) -> None:
        self._root, self._scratch, self._canceled = root, scratch, canceled

    def all(self) -> list[Cache]:
        """In the order of their ids."""
        if not os.path.isdir(self._root):
            return []
        found = []
        for name in os.listdir(self._root):
            parent = os.path.join(self._root, name)
            if os.path.isdir(parent):
                found.append(Cache(name, read_about(parent), os.path.join(parent, "0")))
        return sorted(found, key=lambda cache: (cache.id, cache.name))

    def find(self, text: str) -> list[Cache]:
        """Those of an id, or the one of a name. SourceFault if there is none."""
        caches = self.all()
        found = [cache for cache in caches if cache.id == text] or [cache for cache in caches if cache.name == text]
        if not found:
            raise SourceFault(f"no such cache: {text}", "lapstrake cache mounts ls lists what there is")
        return found

    def one(self, text: str) -> Cache:
        """The same; SourceFault if several have the id."""
        found = self.find(text)
        if len(found) > 1:
            names = ", ".join(cache.name for cache in found)
            raise SourceFault(
                f"{len(found)} caches have the id {text}, by first owner, mode or content", f"name one: {names}"
            )
        return found[0]

    def write(self, cache: Cache, sink: Callable[[Iterator[bytes]], None], limit: int | None = None) -> None:
        """Give all of a cache as a tar to sink, while no step uses it.

        limit: bytes of its files; OutputFault if they are more. SourceFault if there is nothing to give.
        """
        if cache.about is None:
            raise SourceFault(f"what the cache {cache.name} is, is not known", "remove it")
        with CacheMounts(self._root, self._canceled).locked(cache.about) as path:
            if not os.path.isdir(path):
                raise SourceFault(f"no such cache: {cache.id}")
            tree = MergedTree([FolderLayer(path, False)])
            size = sum(entry.size for entry in tree.walk(b"")) if limit is not None else 0
            if limit is not None and size > limit:
                raise OutputFault(
                    f"cache {cache.id} has {size} bytes, more than {limit}", "raise the limit, or remove the cache"
                )
            sink(tar_chunks(_with_about(tree, cache.about), marks=False))

    def read(self, id: str, stream: Readable, limits: Limits, what: str) -> Unpacked:
        """Make an archive the content of the cache of an id, while no step uses it; what it had before is gone.

        what: the archive's name. Whatever is wrong with it, the cache stays as it was: SourceFault, LayerFault.
        """
        temp = temp_name(os.path.join(self._scratch, "cache-"))
        os.mkdir(temp, 0o700)
        fd = os.open(temp, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # says to Store.tidy that it is still written
            os.fchmod(fd, _MODE)
            roots: list[Entry] = []
            unpacked = apply_plain(noted(open_archive(_Given(stream, what), limits, what), roots), fd, devices=False)
            about = self._about(id, roots, os.fstat(fd))
            if not roots:
                unpacked = replace(unpacked, owners=unpacked.owners + _lost_owner(fd, about))
                os.fchmod(fd, about.mode)
            with CacheMounts(self._root).locked(about) as path:
                self._take_apart(path)
                os.rename(temp, path)
        finally:
            os.close(fd)
            remove_tree(temp)
        return unpacked

    def remove(self, cache: Cache) -> bool:
        """Delete a cache, unless a step uses it."""
        parent = os.path.join(self._root, cache.name)
        with idle(parent) as unused:
            if unused:
                self._take_apart(parent)
            return unused

    def _about(self, id: str, roots: list[Entry], root: os.stat_result) -> About:
        """What is there under the id, else what the archive says, else what an owner and mode like its root's say."""
        known = [cache.about for cache in self.all() if cache.id == id and cache.about is not None]
        said = [value for entry in roots for name, value in entry.xattrs if name == _ABOUT]
        try:
            given = replace(record.decode(said[0], About), id=id)
        except (IndexError, Fault):
            given = About(id, mode=root.st_mode & 0o7777, uid=root.st_uid, gid=root.st_gid)
        if len(known) == 1:
            return known[0]
        if known and given not in known:
            raise SourceFault(
                f"{len(known)} caches have the id {id}, and the archive is of none of them", "remove some"
            )
        return given

    def _take_apart(self, path: str) -> None:
        temp = temp_name(os.path.join(self._scratch, "gone-"))
        try:
            os.rename(path, temp)
        except FileNotFoundError:
            return
        remove_tree(temp)


def _with_about(tree: MergedTree, about: About) -> Iterator[Item]:
    root = tree.lookup(b"")
    assert root is not None
    yield replace(root, xattrs=(*root.xattrs, (_ABOUT, record.encode(about)))), None
    yield from all_of(tree)


def noted(items: Iterable[Item], roots: list[Entry]) -> Iterator[Item]:
    """The same, the root as it comes put into roots, and on without what we said of it."""
    for entry, content in items:
        if not entry.path and entry.kind is Kind.DIR:
            roots.append(entry)
            entry = replace(entry, xattrs=tuple(pair for pair in entry.xattrs if pair[0] != _ABOUT))
        yield entry, content


def _lost_owner(fd: int, about: About) -> bool:
    """Give a folder its first owner; whether this user namespace does not have that one."""
    try:
        os.fchown(fd, about.uid, about.gid)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise
        return True
    return False


class _Given:
    """A stream that must have something in it: an empty one is a pipe whose writer failed, not an empty cache."""

    def __init__(self, stream: Readable, what: str) -> None:
        self._stream, self._what, self._some = stream, what, False

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if not data and not self._some:
            raise SourceFault(f"{self._what} is empty")
        self._some = True
        return data
