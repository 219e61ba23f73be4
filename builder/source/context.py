"""LocalContext: a folder of the client as a Tree, seen through its ignore rules, its files hashed at most once.

The folder is hostile: links in it are never followed by the kernel, each folder on the way to a file is opened by
name beneath its parent's descriptor (openat(2) with O_NOFOLLOW).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as _stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from operator import itemgetter
from types import MappingProxyType

from msgspec.structs import replace

from builder.errors import SourceFault
from builder.layer.entry import BytesContent, Content, Entry, Kind
from builder.source.held import Held
from builder.source.ignore import Ignore
from builder.source.sourcetree import SourceTree
from cache.stats import StatIndex

_CHUNK = 1 << 20
_ROOT = (0, 0)
_OPEN_FOLDERS = 64  # descriptors kept of folders looked at last
_KINDS = {
    _stat.S_IFREG: Kind.FILE,
    _stat.S_IFSOCK: Kind.FILE,  # an empty one, as fsutil's mkstat has it
    _stat.S_IFDIR: Kind.DIR,
    _stat.S_IFLNK: Kind.SYMLINK,
    _stat.S_IFCHR: Kind.CHAR,
    _stat.S_IFBLK: Kind.BLOCK,
    _stat.S_IFIFO: Kind.FIFO,
}
# What a umask of 002 gives, and one of 022 would have given; all other modes were chosen by somebody.
_PORTABLE = {Kind.FILE: {0o664: 0o644, 0o775: 0o755}, Kind.DIR: {0o775: 0o755}}
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Xattrs = tuple[tuple[bytes, bytes], ...]


class LocalContext(SourceTree):
    """root: absolute path of a folder. ignore: None shows everything. mtime: what every member is dated.

    exact: modes are shown as they are, also where they only say which umask the client has. owners: (uid, gid) by path,
    of what an archive was unpacked from; all else is 0:0, whoever has it on disk.
    """

    def __init__(
        self, root: str, ignore: Ignore | None, stats: StatIndex, mtime: int, *, exact: bool = False,
        owners: Mapping[bytes, tuple[int, int]] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.root = root
        self._ignore = ignore
        self._stats = stats
        self._mtime = mtime
        self._exact = exact
        self._owners = owners
        self._seen: dict[bytes, os.stat_result] = {}
        self._attributes: dict[bytes, Xattrs] = {}  # of files that have some, read after their status
        self._hashed: dict[bytes, str] = {}
        self._held = Held()
        self._folders: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.RLock()  # a folder's descriptor lives as long as it is held
        try:
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceFault(f"unable to read context {root}: {error.strerror}") from error

    def close(self) -> None:
        for fd in self._folders.values():
            os.close(fd)
        self._folders.clear()
        os.close(self._fd)

    def lookup(self, path: bytes) -> Entry | None:
        hidden = bool(path) and self._hidden(path)
        if hidden and not self._reaches_below(path):
            return None
        parent, _, name = path.rpartition(b"/")
        try:
            with self._lock:
                folder = self._folder(parent)
                status = os.stat(name, dir_fd=folder, follow_symlinks=False) if name else os.fstat(folder)
                entry = self._entry(path, name, folder, status)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error
        if hidden and (entry is None or entry.kind is not Kind.DIR or next(self.walk(path), None) is None):
            return None
        return entry

    def names(self, path: bytes) -> list[bytes]:
        try:
            with self._lock:
                found = sorted(os.fsencode(name) for name in os.listdir(self._folder(path)))
        except OSError as error:
            raise self._unreadable(path, error) from error
        prefix = path + b"/" if path else b""
        return [name for name in found if self.lookup(prefix + name) is not None]

    def walk(self, path: bytes) -> Iterator[Entry]:
        yield from self._walk(path, {})

    def content(self, path: bytes) -> Content:
        """As it was hashed, if it was small and nobody has asked since; else as the file is when it is read."""
        held = self._held.let_go(path)
        return self._file(path) if held is None else BytesContent(held)

    def modified(self, path: bytes) -> int:
        """The real time of change of a file that lookup or walk has shown; of anything else the time all have."""
        status = self._seen.get(path)
        return self._mtime if status is None else status.st_mtime_ns // 1_000_000_000

    def digest(self, path: bytes) -> str:
        """Hex of the sha256 of a file that lookup or walk has shown."""
        status = self._seen[path]
        known = self._stats.get(path, status)
        if known is not None:
            return known[4]
        digest = self._hashed[path] = self._hash(path)
        self._stats.put(path, status, digest, self._attributes.get(path, ()))
        return digest

    def measured(self, path: bytes) -> str:
        return self._hashed.get(path) or self.digest(path)

    def _walk(self, path: bytes, inodes: dict[tuple[int, int], bytes]) -> Iterator[Entry]:
        for entry, hidden in self._members(path):
            if entry.kind is not Kind.DIR:
                yield self._linked(entry, inodes)
            elif not hidden:
                yield entry
                yield from self._walk(entry.path, inodes)
            else:  # an exception may name something below: then the folder itself is shown too
                below = self._walk(entry.path, inodes)
                first = next(below, None)
                if first is not None:
                    yield entry
                    yield first
                    yield from below

    def _linked(self, entry: Entry, inodes: dict[tuple[int, int], bytes]) -> Entry:
        """A hard link where the walk has shown the file by another name."""
        if entry.kind is not Kind.FILE or (status := self._seen[entry.path]).st_nlink < 2:
            return entry
        first = inodes.setdefault((status.st_dev, status.st_ino), entry.path)
        return entry if first == entry.path else replace(entry, kind=Kind.HARDLINK, link=first)

    def _members(self, path: bytes) -> list[tuple[Entry, bool]]:
        """What one folder shows, and the hidden folders in it (True) that may have something to show."""
        prefix = path + b"/" if path else b""
        members: list[tuple[Entry, bool]] = []
        try:
            with self._lock:
                folder = self._folder(path)
                hides = None if self._ignore is None else self._ignore.inside(os.fsdecode(path))
                found: list[tuple[bytes, os.stat_result, bool]] = []
                with os.scandir(folder) as scan:
                    for item in scan:
                        hidden = hides is not None and hides(item.name)
                        name = os.fsencode(item.name)
                        # Of what is hidden no more is asked than its kind, which the listing of the folder has told.
                        if not hidden or (item.is_dir(follow_symlinks=False) and self._reaches_below(prefix + name)):
                            found.append((name, item.stat(follow_symlinks=False), hidden))
                found.sort(key=itemgetter(0))
                for name, status, hidden in found:
                    entry = self._entry(prefix + name, name, folder, status)
                    if entry is not None and (entry.kind is Kind.DIR or not hidden):
                        members.append((entry, hidden))
        except OSError as error:
            raise self._unreadable(path, error) from error
        return members

    def _hidden(self, path: bytes) -> bool:
        return self._ignore is not None and self._ignore.excluded(os.fsdecode(path))

    def _reaches_below(self, path: bytes) -> bool:
        return self._ignore is not None and self._ignore.descend(os.fsdecode(path))

    def _entry(self, path: bytes, name: bytes, folder: int, status: os.stat_result) -> Entry | None:
        kind = _KINDS.get(_stat.S_IFMT(status.st_mode))
        if kind is None:
            return None
        link, size, device = b"", 0, (0, 0)
        mode = _stat.S_IMODE(status.st_mode)
        if not self._exact:
            mode = _PORTABLE.get(kind, {}).get(mode, mode)
        if kind is Kind.FILE:
            self._seen[path] = status
            size = status.st_size
        elif kind is Kind.SYMLINK:
            link = os.fsencode(os.readlink(name, dir_fd=folder))
        elif kind is not Kind.DIR and kind is not Kind.FIFO:
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        uid, gid = self._owners.get(path, _ROOT)
        return Entry(
            path=path,
            kind=kind,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime=self._mtime,
            size=size,
            link=link,
            device=device,
            xattrs=self._xattrs(path, name, folder, status, kind),
        )

    def _xattrs(self, path: bytes, name: bytes, folder: int, status: os.stat_result, kind: Kind) -> Xattrs:
        if kind is Kind.FILE:
            known = self._stats.get(path, status)
            if known is not None:
                return known[5]
        elif kind is not Kind.DIR:
            return ()
        found = _read_xattrs(b"/proc/self/fd/%d/%s" % (folder, name))
        if kind is Kind.FILE and (found or path in self._attributes):
            self._attributes[path] = found
        return found

    def _hash(self, path: bytes) -> str:
        self._held.let_go(path)
        hasher = hashlib.sha256()
        chunk, size = b"", 0
        for chunk in self._file(path).chunks():
            hasher.update(chunk)
            size += len(chunk)
        if size == len(chunk):
            self._held.hold(path, chunk)
        return hasher.hexdigest()

    def _file(self, path: bytes) -> Content:
        status = self._seen.get(path)
        return _FileContent(self, path, -1 if status is None else status.st_size)

    def _folder(self, path: bytes) -> int:
        """A descriptor of the folder, valid until _OPEN_FOLDERS others have been asked for."""
        if not path:
            return self._fd
        fd = self._folders.get(path)
        if fd is None:
            parent, _, name = path.rpartition(b"/")
            fd = os.open(name, _FOLDER_FLAGS, dir_fd=self._folder(parent))
            self._folders[path] = fd
            if len(self._folders) > _OPEN_FOLDERS:
                os.close(self._folders.popitem(last=False)[1])
        else:
            self._folders.move_to_end(path)
        return fd

    def open(self, path: bytes) -> int:
        """A descriptor of a regular file; never a link, never blocks on a fifo. The caller closes it."""
        parent, _, name = path.rpartition(b"/")
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            with self._lock:
                return os.open(name, flags, dir_fd=self._folder(parent))
        except OSError as error:
            if error.errno == errno.ENXIO:  # open(2): a socket
                return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: bytes, error: OSError) -> SourceFault:
        name = os.path.join(self.root, path.decode(errors="backslashreplace"))
        return SourceFault(
            f"failed to read {name} in the build context: {error.strerror}", "or list it in .dockerignore"
        )


class _FileContent:
    __slots__ = ("_context", "_path", "_size")

    def __init__(self, context: LocalContext, path: bytes, size: int) -> None:
        """size: what is expected, in bytes; -1 if that is not known."""
        self._context = context
        self._path = path
        self._size = size

    def chunks(self) -> Iterator[bytes]:
        left = self._size
        fd = self._context.open(self._path)
        try:
            while True:
                asked = min(left + 1, _CHUNK) if left >= 0 else _CHUNK
                data = os.read(fd, asked)
                if not data:
                    return
                yield data
                left -= len(data)
                if not left and len(data) < asked:  # as long as it was, and there was no more: that is its end
                    return
        finally:
            os.close(fd)


def _read_xattrs(path: bytes) -> Xattrs:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        kept = [n for n in names if n.startswith("user.") or n == "security.capability"]
        return tuple(sorted((os.fsencode(n), os.getxattr(path, n, follow_symlinks=False)) for n in kept))
    except OSError:
        return ()  # a file system without them
