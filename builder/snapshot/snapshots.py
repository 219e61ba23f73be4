"""Snapshots: unchanging trees on disk, and writable ones that become such.

A chain is the diff_ids of layers, bottom first. A Folder is what stands for the last layer of a chain: with overlay,
the layer alone; with plain copies, the whole tree. Parents are the Folders of a chain, bottom first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from builder.layer.entry import Item
from builder.layer.unpack import Unpacked
from builder.sandbox.spec import OverlayRoot, PlainRoot
from builder.snapshot.folderlayer import FolderLayer
from cache.digest import Digest

Chain = tuple[Digest, ...]


class Folder(msgspec.Struct, frozen=True):
    """A committed tree. id: its name in the snapshots folder; path: absolute."""

    id: str
    path: str


class Loan(Protocol):
    """A writable tree that is discarded in any case."""

    @property
    def root(self) -> OverlayRoot | PlainRoot:
        """What a sandbox mounts."""
        ...

    def discard(self) -> None:
        """Delete it."""
        ...


class Draft(Loan, Protocol):
    """A writable tree on top of its parents; to be committed or discarded."""

    def changes(self) -> Iterator[Item]:
        """The layer that the tree has become; also after commit, while later drafts already stand on it."""
        ...

    def commit(self) -> Folder:
        """Nothing writes to it any more. It lasts beyond this process only when registered."""
        ...


class Snapshots(Protocol):
    """Safe for many threads and, on one store, many processes."""

    def find(self, chain: Chain) -> Folder | None:
        """The ready Folder of the chain's last layer, if there is one."""
        ...

    def unpack(self, chain: Chain, items: Iterable[Item], parents: tuple[Folder, ...]) -> tuple[Folder, Unpacked]:
        """Write a layer's members (marks made explicit) to a new Folder and register it.

        items is consumed to its end before anything is registered, so a check there can still fail.
        """
        ...

    def begin(self, parents: tuple[Folder, ...]) -> Draft:
        """A new writable tree."""
        ...

    def borrow(self, parents: tuple[Folder, ...]) -> Loan:
        """A tree to be mounted in another one; without mount points of ours in it."""
        ...

    def gather(self, items: Iterable[Item]) -> Loan:
        """The same of files that are no layer."""
        ...

    def register(self, chain: Chain, folder: Folder) -> Folder:
        """Keep a committed Folder under its chain; gives the one that is kept, which may be another's."""
        ...

    def layers(self, parents: tuple[Folder, ...]) -> tuple[FolderLayer, ...]:
        """The Folders as layers of a MergedTree, topmost first; one alone may be put into a stack of other layers."""
        ...

    def close(self) -> None:
        """Give up what is not registered."""
        ...


def open_snapshots(
    store: str, make_stub: Callable[[str], None], warn: Callable[[str], None], form: str | None = None
) -> Snapshots:
    """The snapshots of a store; made when first needed.

    store: absolute path of the store's folder. make_stub(path): fill an empty folder with the mount points that the
    sandbox needs and that never reach a layer. warn: told of damage. form: "overlay" or "plain",
    found by `probe` if None.
    """
    from builder.snapshot import probe
    from builder.snapshot.overlay import OverlaySnapshots
    from builder.snapshot.plain import PlainSnapshots

    folder = os.path.join(store, "snapshots")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if (form or probe.probe(folder)) == "overlay":
        return OverlaySnapshots(store, make_stub, warn, userxattr=probe.in_user_namespace())
    return PlainSnapshots(store, make_stub, warn)
