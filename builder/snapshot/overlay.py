"""OverlaySnapshots: one folder per layer in overlay form, shared by all chains that have the layer.

A layer that has files without their folders shows the folders of what it lies on: it has a folder for each chain.

Below ROOT/snapshots: `<id>` a layer folder, `<id>.w` the work folder of one that is being written, `stub` the mount
points, which are the lowest layer of every mount and belong to no image.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from builder.layer import inode, whiteout
from builder.layer.changes import upper_changes
from builder.layer.entry import Entry, Item, Kind
from builder.layer.unpack import Unpacked, apply
from builder.sandbox.spec import OverlayRoot
from builder.snapshot.folderlayer import FolderLayer
from builder.snapshot.gather import Gathered, all_of
from builder.snapshot.registry import Registry
from builder.snapshot.snapshots import Chain, Folder
from builder.snapshot.stub import STUB, ensure_stub
from builder.snapshot.tree import MergedTree
from cache.digest import Digest

MAX_LOWERS = 400  # the kernel allows 500; names of 400 leave room in its page of options
STRIDE = 200  # layers that are flattened into one at a time, so that a growing chain seldom needs a new one


class OverlaySnapshots:
    """See `builder.snapshot.snapshots.Snapshots`. userxattr: marks are user.overlay.*, as in a user namespace."""

    def __init__(
        self, store: str, make_stub: Callable[[str], None], warn: Callable[[str], None], *, userxattr: bool
    ) -> None:
        self._registry = Registry(store, warn)
        self._base = self._registry.folder
        self._make_stub = make_stub
        self._userxattr = userxattr

    def find(self, chain: Chain) -> Folder | None:
        id = self._registry.find(str(chain[-1])) or self._registry.find(_in_chain(chain))
        return self._folder(id) if id else None

    def register(self, chain: Chain, folder: Folder) -> Folder:
        return self._folder(self._registry.register(str(chain[-1]), folder.id))

    def unpack(self, chain: Chain, items: Iterable[Item], parents: tuple[Folder, ...]) -> tuple[Folder, Unpacked]:
        folder, unpacked = self._write(items, MergedTree(self.layers(parents)))
        key = _in_chain(chain) if unpacked.inherited else str(chain[-1])
        return self._folder(self._registry.register(key, folder.id)), unpacked

    def begin(self, parents: tuple[Folder, ...]) -> OverlayDraft:
        ensure_stub(self._base, self._make_stub)
        return self._draft(parents, (STUB,))

    def borrow(self, parents: tuple[Folder, ...]) -> OverlayDraft | Gathered:
        return self._draft(parents, ()) if parents else self.gather(())

    def gather(self, items: Iterable[Item]) -> Gathered:
        return Gathered(self._registry, items)

    def _draft(self, parents: tuple[Folder, ...], stub: tuple[str, ...]) -> OverlayDraft:
        parents = self._fitting(_distinct(parents))
        tree = MergedTree(self.layers(parents))
        root = _root_of(tree)
        folder = self._folder(self._registry.new_id())
        os.mkdir(folder.path, 0o700)
        os.mkdir(folder.path + ".w", 0o700)
        with _opened(folder.path) as fd:
            apply([(root, None)], fd, userxattr=self._userxattr)
        lowers = (*(parent.id for parent in reversed(parents)), *stub)
        mount = OverlayRoot(self._base, lowers, folder.id, folder.id + ".w", self._userxattr)
        return OverlayDraft(self, folder, mount, root, tree)

    def layers(self, parents: tuple[Folder, ...]) -> tuple[FolderLayer, ...]:
        return tuple(FolderLayer(folder.path, self._userxattr) for folder in reversed(parents))

    def close(self) -> None:
        self._registry.close()

    def changes_of(self, folder: Folder, root: Entry, tree: MergedTree) -> Iterator[Item]:
        """The layer in an upper folder. root, tree: what was below it."""

        def hides(path: bytes) -> bool:
            entry = tree.lookup(path)
            return entry is not None and entry.kind is Kind.DIR

        return upper_changes(folder.path, self._userxattr, root=root, hides=hides)

    def inherit_root(self, folder: Folder) -> None:
        """Note that a layer leaves the root as it is: it may come to lie on others, whose root is another."""
        os.setxattr(folder.path, whiteout.inherited_xattr(self._userxattr), b"y")

    def root(self, folder: Folder) -> Entry | None:
        found = FolderLayer(folder.path, self._userxattr).lookup(b"")
        return found.entry if found is not None else None

    def remove(self, name: str) -> None:
        self._registry.remove_folder(name)

    def _folder(self, id: str) -> Folder:
        return Folder(id, os.path.join(self._base, id))

    def _write(self, items: Iterable[Item], below: MergedTree) -> tuple[Folder, Unpacked]:
        folder = self._folder(self._registry.new_id())
        os.mkdir(folder.path, 0o700)
        try:
            with _opened(folder.path) as fd:
                members = _Rooted(items, _root_of(below))
                unpacked = apply(members, fd, userxattr=self._userxattr, below=below.lookup)
            if not members.own:
                self.inherit_root(folder)
        except BaseException:
            self.remove(folder.id)
            raise
        return folder, unpacked

    def _fitting(self, parents: tuple[Folder, ...]) -> tuple[Folder, ...]:
        """As many parents as a mount can take: the lowest of a very long chain become one."""
        over = len(parents) - MAX_LOWERS
        if over <= 0:
            return parents
        count = -(-over // STRIDE) * STRIDE
        lowest = parents[:count]
        key = "flat " + Digest.of(" ".join(folder.id for folder in lowest).encode()).hex
        id = self._registry.find(key)
        if id is None:
            tree = MergedTree(self.layers(lowest))
            folder, _ = self._write(itertools.chain([(_root_of(tree), None)], all_of(tree)), tree)
            id = self._registry.register(key, folder.id)
        return (self._folder(id), *parents[count:])


class OverlayDraft:
    """See `builder.snapshot.snapshots.Draft`."""

    def __init__(
        self,
        snapshots: OverlaySnapshots,
        folder: Folder,
        mount: OverlayRoot,
        root: Entry,
        tree: MergedTree,
    ) -> None:
        self._snapshots, self._folder, self._mount = snapshots, folder, mount
        self._before, self._tree = root, tree
        self.upper = folder.path

    @property
    def root(self) -> OverlayRoot:
        return self._mount

    def changes(self) -> Iterator[Item]:
        return self._snapshots.changes_of(self._folder, self._before, self._tree)

    def commit(self) -> Folder:
        self._snapshots.remove(self._folder.id + ".w")
        root = self._snapshots.root(self._folder)
        if root is not None and _rights(root) == _rights(self._before):
            self._snapshots.inherit_root(self._folder)
        return self._folder

    def discard(self) -> None:
        self._snapshots.remove(self._folder.id + ".w")
        self._snapshots.remove(self._folder.id)


def _distinct(parents: tuple[Folder, ...]) -> tuple[Folder, ...]:
    """Each folder once, topmost, since the kernel takes none twice: there it says all that it says lower down."""
    return tuple(reversed(dict.fromkeys(reversed(parents))))


def _in_chain(chain: Chain) -> str:
    below = Digest.of(" ".join(map(str, chain[:-1])).encode())
    return f"{chain[-1]} on {below.hex}"


def _root_of(tree: MergedTree) -> Entry:
    return tree.lookup(b"") or Entry(path=b"", kind=Kind.DIR, mode=0o755)


def _rights(entry: Entry) -> tuple[object, ...]:
    return entry.mode, entry.uid, entry.gid, entry.xattrs


class _Rooted:
    """A layer's members after a root like the one below, which its folder must have. own: they have one, too."""

    def __init__(self, items: Iterable[Item], root: Entry) -> None:
        self._items, self._root = items, root
        self.own = False

    def __iter__(self) -> Iterator[Item]:
        yield self._root, None
        for item in self._items:
            self.own = self.own or (not item[0].path and item[0].kind is Kind.DIR)
            yield item


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, inode.OPEN | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)
