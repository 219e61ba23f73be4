"""Members of a layer onto disk, beneath a root descriptor and never outside it.

`apply` writes an overlay layer folder, where marks are kept in overlay's own form. `apply_plain` changes a whole tree,
where a mark deletes what is below; it never deletes what the same layer wrote. In both, a parent that is a link is
not followed: one that this layer made is a fault, one from a layer below is replaced by a folder, as overlay would
show it. Nothing is synced; the caller decides when.
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import msgspec

from builder.errors import LayerFault
from builder.layer import inode, whiteout
from builder.layer.entry import Content, Entry, Item, Kind, shown
from builder.layer.inodemaker import SECOND, InodeMaker
from builder.layer.opendirs import OpenDirs
from builder.layer.remove import remove

_ABSENT = (None, Kind.WHITEOUT)  # what a folder may be made over

Below = Callable[[bytes], Entry | None]


class Unpacked(msgspec.Struct, frozen=True):
    """What could not be kept, as numbers of members. inherited: whether a folder is as below, being no member."""

    owners: int = 0
    devices: int = 0
    xattrs: int = 0
    inherited: bool = False

    def warnings(self) -> tuple[str, ...]:
        texts = (
            (self.owners, "the owner of {} files could not be set: this user namespace does not map it"),
            (self.devices, "{} device nodes were left out: making them needs root"),
            (self.xattrs, "extended attributes of {} files could not be set"),
        )
        return tuple(text.format(count) for count, text in texts if count)


def apply(
    items: Iterable[Item], root_fd: int, *, userxattr: bool = False, devices: bool = True,
    below: Below | None = None,
) -> Unpacked:  # fmt: skip
    """Write a layer's members into the empty folder `root_fd` as an overlay layer.

    userxattr: see whiteout.opaque_xattr. devices: make device nodes, else count them. below(path): the folder of that
    path in the layers below, whose mode, owner and date a parent gets that is not a member itself.
    """
    with OpenDirs(root_fd) as dirs:
        return _OverlayTree(dirs, devices, below, userxattr).run(items)


def apply_plain(items: Iterable[Item], root_fd: int, *, devices: bool = True, below: Below | None = None) -> Unpacked:
    """Change the tree at `root_fd` as a layer's members say. Parameters as for `apply`."""
    with OpenDirs(root_fd) as dirs:
        return _PlainTree(dirs, devices, below).run(items)


class _Tree(ABC):
    """What both forms share: members become inodes."""

    def __init__(self, dirs: OpenDirs, devices: bool, below: Below | None) -> None:
        self._dirs, self._below = dirs, below
        self._maker = InodeMaker(dirs, devices)
        self._written: dict[bytes, Kind] = {b"": Kind.DIR}  # and the parents of what was written
        self._within: dict[bytes, set[bytes]] | None = None  # these by folder, once one is written over
        self._folders: dict[bytes, tuple[int, int]] = {}  # mode, mtime in ns: set last
        self._implied: set[bytes] = set()  # folders that were made and are no member (yet)
        self._gone: set[bytes] = set()  # what is deleted below
        self._hiding: set[bytes] = set()  # folders that hide what is in them below

    def run(self, items: Iterable[Item]) -> Unpacked:
        for entry, content in items:
            try:
                self._member(entry, content)
            except OSError as error:
                raise LayerFault(f"cannot unpack {shown(entry.path)}: {error.strerror}") from error
        for path in self._implied:
            self._inherit(path)
        self._finish()
        lost = self._maker
        return Unpacked(lost.owners, lost.devices, lost.xattrs, inherited=bool(self._implied))

    @abstractmethod
    def whiteout(self, entry: Entry) -> None:
        """What is below is gone at the entry's path."""

    @abstractmethod
    def opaque(self, path: bytes) -> None:
        """What is below is gone in the folder `path`, which is there."""

    @abstractmethod
    def made_folder(self, path: bytes) -> None:
        """A folder was made where there was none, or something else."""

    def _member(self, entry: Entry, content: Content | None) -> None:
        path = entry.path
        if path.startswith(b"/") or b".." in path.split(b"/"):
            raise LayerFault(f"layer names a path outside of its root: {shown(path)}")
        if entry.kind is Kind.WHITEOUT:
            self._gone.add(path)
            self.whiteout(entry)
        elif entry.kind is Kind.OPAQUE:
            self._hiding.add(path)
            self._folder(path)
            self.opaque(path)
        elif entry.kind is Kind.DIR:
            self._folder(path, member=True)
            self._implied.discard(path)
            self._folders[path] = (entry.mode, entry.mtime * SECOND)
            self._maker.attributes(self._dirs.fd(path), entry)
        elif not path:
            raise LayerFault(f"layer makes its root a {entry.kind.value}")
        else:
            self._leaf(entry, content)

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """The open parent folder of a path, made where it is missing, and the last name."""
        parent, _, name = path.rpartition(b"/")
        have = self._written.get(parent)
        if have in _ABSENT:
            self._folder(parent)
        elif have is not Kind.DIR:
            raise LayerFault(f"{shown(path)} lies beneath {shown(parent)}, which this layer made a non-folder")
        return self._dirs.fd(parent), name

    def _folder(self, path: bytes, *, member: bool = False) -> None:
        """Make sure of a folder with its parents."""
        if self._written.get(path) is Kind.DIR:
            return
        todo = [path]
        while self._written.get(above := todo[-1].rpartition(b"/")[0]) in _ABSENT:
            todo.append(above)
        for step in reversed(todo):
            fd, name = self.parent(step)
            exists = self._exists(fd, name)
            if not exists:
                os.mkdir(name, 0o700, dir_fd=fd)
            self._wrote(step, Kind.DIR)
            if exists:
                self.keep_date(step)
                continue
            if not (member and step == path):
                self._implied.add(step)
            self.made_folder(step)

    def keep_date(self, path: bytes) -> None:
        """Of a folder that was there, in which something is about to change."""
        if path not in self._folders and path not in self._implied:
            st = os.fstat(self._dirs.fd(path))
            self._folders[path] = (stat.S_IMODE(st.st_mode), st.st_mtime_ns)

    def _exists(self, fd: int, name: bytes) -> bool:
        """Whether there is a folder of that name; anything else of that name is removed."""
        try:
            st = inode.lstat(fd, name)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(st.st_mode):
            return True
        os.unlink(name, dir_fd=fd)
        return False

    def _inherit(self, path: bytes) -> None:
        """A folder that is no member: as below, else root's, 0755 and of 1970, as ListedLayer shows it."""
        model = self._below(path) if self._below and not self._hidden(path) else None
        if model is None or model.kind is not Kind.DIR:
            model = Entry(path=path, kind=Kind.DIR, mode=0o755)
        self._folders[path] = (model.mode, model.mtime * SECOND)
        self._maker.attributes(self._dirs.fd(path), model)

    def _hidden(self, path: bytes) -> bool:
        """Whether this layer deletes what is there below."""
        while path:
            if path in self._gone:
                return True
            path = path.rpartition(b"/")[0]
            if path in self._hiding:
                return True
        return False

    def _leaf(self, entry: Entry, content: Content | None) -> None:
        fd, name = self.parent(entry.path)
        try:
            made = self._maker.make(fd, name, entry, content)
        except FileExistsError:
            self._forget(entry.path)
            fd, name = self.parent(entry.path)  # anew: making a hard link may have closed it
            remove(fd, name)
            made = self._maker.make(fd, name, entry, content)
        if made:
            self._wrote(entry.path, entry.kind)

    def _forget(self, path: bytes) -> None:
        """Something is written over `path`; if that was a folder, what this layer wrote there is gone."""
        if self._written.pop(path, None) is not Kind.DIR:
            return
        if self._within is None:
            self._within = {}
            for name in self._written:
                self._note(name)
        todo = [path]
        while todo:
            one = todo.pop()
            self._folders.pop(one, None)
            self._implied.discard(one)
            names = self._within.pop(one, set())
            todo += [name for name in names if self._written.pop(name, None) is not None]

    def _wrote(self, path: bytes, kind: Kind) -> None:
        self._written[path] = kind
        if self._within is not None:
            self._note(path)

    def _note(self, path: bytes) -> None:
        if path:
            assert self._within is not None
            self._within.setdefault(path.rpartition(b"/")[0], set()).add(path)

    def _finish(self) -> None:
        # Children first: a folder without permission bits would bar the way to them, and their making sets its time.
        for path in sorted(self._folders, key=_components, reverse=True):
            mode, mtime = self._folders[path]
            try:
                fd = self._dirs.fd(path)
            except (FileNotFoundError, NotADirectoryError):
                if self._written.get(path) is Kind.DIR:
                    raise
                continue  # it was to keep its date, and was deleted later
            os.fchmod(fd, mode)
            os.utime(fd, ns=(mtime, mtime))


class _OverlayTree(_Tree):
    """An overlay layer folder: a whiteout is a device node, an opaque folder has an attribute."""

    def __init__(self, dirs: OpenDirs, devices: bool, below: Below | None, userxattr: bool) -> None:
        super().__init__(dirs, devices, below)
        self._xattr = whiteout.opaque_xattr(userxattr)

    def whiteout(self, entry: Entry) -> None:
        path = entry.path
        if not path:
            raise LayerFault("layer deletes its own root")
        have = self._written.get(path)
        if have is Kind.DIR:
            self.opaque(path)
        elif have is None and path.rpartition(b"/")[0] not in self._hiding:
            fd, name = self.parent(path)
            os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(*whiteout.DEVICE), dir_fd=fd)
            self._wrote(path, Kind.WHITEOUT)

    def opaque(self, path: bytes) -> None:
        # A whiteout in it would have nothing to hide, and readdir(3) would show its name: overlayfs filters those of
        # merged folders only.
        fd = self._dirs.fd(path)
        self._hiding.add(path)
        prefix = path + b"/" if path else b""
        for name in map(os.fsencode, os.listdir(fd)):
            if self._written.get(prefix + name) is Kind.WHITEOUT:
                os.unlink(name, dir_fd=fd)
                del self._written[prefix + name]
        os.setxattr(fd, self._xattr, whiteout.OPAQUE_VALUE)

    def made_folder(self, path: bytes) -> None:
        # Deleted and made again by one layer: nothing of the one below may shine through.
        if path in self._gone:
            self.opaque(path)


class _PlainTree(_Tree):
    """A whole tree: marks delete, but for what this layer wrote."""

    def whiteout(self, entry: Entry) -> None:
        path = entry.path
        if not path:
            raise LayerFault("layer deletes its own root")
        have = self._written.get(path)
        if have is Kind.DIR:
            self.opaque(path)
        if have is not None:
            return
        parent, _, name = path.rpartition(b"/")
        try:
            fd = self._dirs.fd(parent)
            self.keep_date(parent)
            remove(fd, name)
        except (FileNotFoundError, NotADirectoryError):
            return  # there is nothing to delete
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise

    def made_folder(self, path: bytes) -> None:
        pass

    def opaque(self, path: bytes) -> None:
        todo = [path]
        while todo:
            folder = todo.pop()
            fd = self._dirs.fd(folder)
            for name in map(os.fsencode, os.listdir(fd)):
                child = folder + b"/" + name if folder else name
                have = self._written.get(child)
                if have is None:
                    remove(fd, name)
                elif have is Kind.DIR:
                    todo.append(child)


def _components(path: bytes) -> list[bytes]:
    return path.split(b"/") if path else []
