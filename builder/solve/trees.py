"""Trees: stacks of layers as something to look at, or to run in; on disk only when that is asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from builder.errors import LayerFault, SourceFault
from builder.graph.gostring import quote
from builder.layer.entry import Content, Item, Kind
from builder.layer.limits import Limits
from builder.layer.readahead import WORTH
from builder.layer.tree import Tree, resolve
from builder.solve.stratum import Stratum

if TYPE_CHECKING:
    from builder.layer.layer import Layer
    from builder.snapshot.snapshots import Draft, Folder, Loan, Snapshots
    from builder.snapshot.tree import LayerView
    from cache.blobs import BlobStore

Stack = tuple[Stratum, ...]
_AT_ONCE = 4  # layers that are fetched


class Trees:
    """Knows where the layers of a build are; safe for many threads."""

    def __init__(
        self,
        open_snapshots: Callable[[], Snapshots],
        blobs: BlobStore,
        warn: Callable[[str], None],
        limits: Limits,
    ) -> None:
        """open_snapshots: called once, when the first tree is wanted; a build that finds everything needs none.

        warn: told what of a layer could not be unpacked. limits: of each layer.
        """
        self._warn, self._limits = warn, limits
        self._open = open_snapshots
        self._opened: Snapshots | None = None
        self._lock = threading.Lock()
        self._blobs = blobs

    @property
    def _snapshots(self) -> Snapshots:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def view(self, stack: Stack) -> Tree:
        """The merged tree, to look at. No layer is unpacked for it unless the bytes of its files are asked for."""
        from builder.snapshot.tree import MergedTree

        with self._coming(stack) as arrived:
            for n in range(len(stack)):
                arrived(n)
        return MergedTree([self._layer_view(stack[: n + 1]) for n in reversed(range(len(stack)))])

    def begin(self, stack: Stack) -> Draft:
        """A writable tree on the stack."""
        return self._snapshots.begin(self.folders(stack))

    def borrow(self, stack: Stack) -> Loan:
        """The tree to be mounted in another one, for as long as that takes."""
        return self._snapshots.borrow(self.folders(stack))

    def gather(self, items: Iterable[Item]) -> Loan:
        """The same of files that are no layer."""
        return self._snapshots.gather(items)

    def write(self, tree: Tree, path: str, folder: str) -> None:
        """Copy a folder of a tree, with its mode and owner, onto an empty one. SourceFault if it is no folder."""
        from builder.layer.unpack import apply_plain

        root = resolve(tree, os.fsencode(path).strip(b"/"))
        entry = tree.lookup(root)
        if entry is None or entry.kind is not Kind.DIR:
            raise SourceFault(
                f"failed to compute cache key: failed to calculate checksum of ref: {quote(path)}: not found"
            )
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            apply_plain(_below(tree, root), fd)
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
        finally:
            os.close(fd)

    def keep(self, below: Stack, layer: Layer, folder: Folder) -> None:
        """Remember that a folder is the layer on top of below, for later builds."""
        self._snapshots.register((*(s.wait().diff_id for s in below), layer.diff_id), folder)

    def items(self, stack: Stack) -> Iterator[Item]:
        """Every member of the merged tree, parents first."""
        tree = self.view(stack)
        for entry in tree.walk(b""):
            content: Content | None = tree.content(entry.path) if entry.kind is Kind.FILE else None
            yield entry, content

    def folders(self, stack: Stack) -> tuple[Folder, ...]:
        """The stack on disk, bottom first; what is not there is unpacked from its blob, digests checked."""
        made: list[Folder] = []
        with self._coming(stack) as arrived:
            for n, stratum in enumerate(stack):
                arrived(n)
                with stratum.lock:
                    if stratum.folder is None:
                        stratum.folder = self._folder(stack[: n + 1], tuple(made))
                    made.append(stratum.folder)
        return tuple(made)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @contextmanager
    def _coming(self, stack: Stack) -> Iterator[Callable[[int], object]]:
        """Has what is elsewhere of a stack fetched at once; gives what waits for the layer of a number."""
        wanted = [n for n, one in enumerate(stack) if one.folder is None and one.listing is None and self._away(one)]
        if not self._blobs.suppliers or len(wanted) < 2:
            yield lambda n: None
            return
        from concurrent.futures import ThreadPoolExecutor

        chains = {n: tuple(s.wait().diff_id for s in stack[: n + 1]) for n in wanted}
        blobs = {n: stack[n].wait().blob for n in wanted if self._snapshots.find(chains[n]) is None}
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="obtain")
        try:
            coming = {n: pool.submit(self._blobs.obtain, blob.digest, blob.size) for n, blob in blobs.items()}
            yield lambda n: coming[n].result() if n in coming else None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _away(self, stratum: Stratum) -> bool:
        layer = stratum.layer
        return layer is not None and not self._blobs.has(layer.blob.digest, layer.blob.size)

    def _folder(self, stack: Stack, below: tuple[Folder, ...]) -> Folder:
        layer = stack[-1].wait()
        chain = tuple(s.wait().diff_id for s in stack)
        found = self._snapshots.find(chain)
        if found is not None:
            return found
        try:
            folder, unpacked = self._snapshots.unpack(chain, self._members(layer), below)
        except LayerFault:
            self._blobs.verify(layer.blob.digest)  # bytes that are not the blob's are damage, whatever they look like
            raise
        for text in unpacked.warnings():
            self._warn(f"layer {layer.diff_id}: {text}")
        return folder

    def _members(self, layer: Layer) -> Iterator[Item]:
        """The layer's members, read from its blob; ends with the check of both digests."""
        from builder.layer import whiteout
        from builder.layer.openarchive import members

        with self._blobs.open(layer.blob.digest) as reader:
            ahead = layer.blob.size >= WORTH
            yield from whiteout.from_oci(members(reader, self._limits, f"layer {layer.diff_id}", ahead=ahead))
            reader.finish()

    def _layer_view(self, stack: Stack) -> LayerView:
        stratum = stack[-1]
        with stratum.lock:
            folder = stratum.folder
            if folder is None and stratum.listing is None:
                chain = tuple(s.wait().diff_id for s in stack)
                folder = stratum.folder = self._snapshots.find(chain)
            if folder is None and stratum.listing is None:
                stratum.listing = [entry for entry, _ in self._members(stratum.wait())]
        if folder is not None:
            return self._snapshots.layers((folder,))[0]
        assert stratum.listing is not None
        if stratum.listed is None:
            from builder.snapshot.listedlayer import ListedLayer

            stratum.listed = ListedLayer(stratum.listing, lambda path: self._content(stack, path))
        return stratum.listed

    def _content(self, stack: Stack, path: bytes) -> Content:
        """Bytes of a file of a layer that was only listed: now it is worth a folder."""
        return self._snapshots.layers((self.folders(stack)[-1],))[0].content(path)


def _below(tree: Tree, root: bytes) -> Iterator[Item]:
    """Members below a folder, with paths from there."""
    skip = len(root) + 1 if root else 0
    for entry in tree.walk(root):
        content: Content | None = tree.content(entry.path) if entry.kind is Kind.FILE else None
        link = entry.link[skip:] if entry.kind is Kind.HARDLINK else entry.link
        yield msgspec.structs.replace(entry, path=entry.path[skip:], link=link), content
