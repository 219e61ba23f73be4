"""LocalExecutor: does the work of a Task on this machine, in the thread that calls it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from builder.errors import BuildFault, Canceled
from builder.graph.inputs import selections
from builder.graph.operation import Copy, Exec, InlineFile, LocalSource, MakeDir, RemoteSource
from builder.layer.entry import Kind
from builder.solve.emptytree import EmptyTree
from builder.solve.select import Selected, select, selection_digest
from builder.source.sourcetree import SourceTree
from cache import record
from cache.digest import Digest

if TYPE_CHECKING:
    from builder.graph.event import Event
    from builder.layer.codec import Codec
    from builder.layer.entry import Entry, Item
    from builder.layer.layer import Layer
    from builder.layer.tree import Tree
    from builder.sandbox.launch import Launcher
    from builder.solve.commands import Commands
    from builder.solve.copying import Source
    from builder.solve.executor import Stack, Task
    from builder.solve.stepmounts import Found
    from builder.solve.stratum import Stratum
    from builder.solve.surroundings import Surroundings
    from builder.solve.trees import Trees
    from builder.source.context import LocalContext
    from builder.source.remotes import Remotes
    from builder.trace.listing import Member
    from cache.store import Store

_FOLDERS = (Kind.DIR, Kind.OPAQUE)
_PACKERS = 2  # layers packed at once: each keeps all cores busy, more would only hold memory


class LocalExecutor:
    """launch: starts the sandbox helper; called at most once, by prepare(), when the first command is to run.

    contexts: the client's folders by name. remotes: what lies elsewhere.
    also_cancel: called by cancel(), for what threads may wait for elsewhere.
    """

    def __init__(
        self,
        store: Store,
        trees: Trees,
        launch: Callable[[], Launcher],
        contexts: dict[str, LocalContext],
        remotes: Remotes,
        codec: Codec,
        surroundings: Surroundings,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        also_cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self._also_cancel = also_cancel
        self._store = store
        self._trees = trees
        self._launch = launch
        self._commands: Commands | None = None
        self._contexts = contexts
        self._remotes = remotes
        self._codec = codec
        self._surroundings = surroundings
        self._emit = emit
        self._clock = clock
        self._packers = threading.Semaphore(_PACKERS)
        self._canceled = threading.Event()
        self._selected: dict[Digest, Found] = {}
        self._hashes: dict[Digest, list[dict[bytes, str]]] = {}  # of files in trees of steps, for each selection

    def cancel(self) -> None:
        self._canceled.set()
        self._remotes.cancel()
        self._also_cancel()
        if self._commands is not None:
            self._commands.cancel()

    def close(self) -> None:
        if self._commands is not None:
            self._commands.close()

    def prepare(self, task: Task) -> None:
        if self._commands is None and isinstance(task.vertex.operation, Exec):
            from builder.solve.commands import Commands

            launcher, canceled = self._launch(), self._canceled.is_set
            self._commands = Commands(
                self._store, self._trees, launcher, self._surroundings, canceled, self._emit, self._clock, self._source
            )

    def identify(self, source: RemoteSource) -> Digest:
        return self._remotes.identify(source)

    def measure(self, task: Task) -> tuple[Digest, ...]:
        found = self._select(task)
        hashes: list[dict[bytes, str]] = [{} for _ in found]
        self._selected[task.digest], self._hashes[task.digest] = found, hashes
        return tuple(_content_digest(*one, seen) for one, seen in zip(found, hashes, strict=True))

    def members(self, step: Digest) -> list[Iterator[Member]] | None:
        """Of each selection that was measured for a step of this build, before it is performed; else None."""
        from builder.solve.members import members

        found, hashes = self._selected.get(step), self._hashes.get(step)
        if found is None or hashes is None:
            return None
        return [members(*one, seen) for one, seen in zip(found, hashes, strict=True)]

    def perform(self, task: Task) -> Callable[[], Layer]:
        if self._canceled.is_set():
            raise Canceled("canceled")
        operation = task.vertex.operation
        if isinstance(operation, Exec):
            return self._exec(task, operation)
        if isinstance(operation, Copy):
            return self._copy(task, operation)
        if isinstance(operation, MakeDir):
            from builder.solve.folders import make_folders

            items = make_folders(self._tree(task.below), operation, self._surroundings.mtime)
            return self._listed(task, items)
        raise BuildFault(f"cannot perform {type(operation).__name__}")

    def _exec(self, task: Task, operation: Exec) -> Callable[[], Layer]:
        found = self._selected.pop(task.digest, None) or self._select(task)
        assert self._commands is not None
        draft, folder = self._commands.run(task, operation, found)
        _stratum(task).folder = folder

        def finish() -> Layer:
            changed = _Changed()
            layer = self._pack(task, draft.changes(), changed.count)
            _stratum(task).files = changed.files
            self._trees.keep(task.below, layer, folder)
            return layer

        return finish

    def _copy(self, task: Task, operation: Copy) -> Callable[[], Layer]:
        from builder.solve.copying import place

        found = self._selected.pop(task.digest, None) or self._select(task)
        base = self._tree(task.below)
        sources: list[Source] = []
        left = iter(found)
        for word in operation.sources:
            if isinstance(word, InlineFile):
                sources.append(word)
            else:
                tree, selected = next(left)
                sources += [(tree, one) for one in selected]
        given = self._surroundings
        return self._listed(task, place(base, operation, sources, given.mtime, given.unpack, given.warn))

    def _listed(self, task: Task, items: Iterable[Item]) -> Callable[[], Layer]:
        """Pack now, since the layer's list of entries is what later steps look at."""
        stratum = _stratum(task)
        listing: list[Entry] = []
        layer = self._pack(task, items, listing.append)
        stratum.listing = listing
        stratum.files = sum(entry.kind not in _FOLDERS for entry in listing)
        stratum.pack_done(layer)
        return lambda: layer

    def _pack(self, task: Task, items: Iterable[Item], told: Callable[[Entry], object]) -> Layer:
        from builder.layer.codec import USUAL
        from builder.layer.pack import pack

        _stratum(task).form = "" if self._codec.fingerprint == USUAL.fingerprint else self._codec.fingerprint
        with self._packers:
            if self._canceled.is_set():
                raise Canceled("canceled")
            with self._store.blobs.writer() as sink:
                return pack(items, self._codec, sink, told)

    def _select(self, task: Task) -> Found:
        operation = task.vertex.operation
        exclude = operation.exclude if isinstance(operation, Copy) else ()
        found = []
        for selection in selections(operation):
            tree = self._source(task, selection.input)
            found.append((tree, select(tree, selection, exclude)))
        return found

    def _source(self, task: Task, index: int) -> Tree:
        digest = task.vertex.inputs[index]
        operation = task.files.get(digest)
        if operation is None:
            return self._tree(task.reads[digest])
        return self._contexts[operation.name] if isinstance(operation, LocalSource) else self._remotes.tree(operation)

    def _tree(self, stack: Stack) -> Tree:
        return self._trees.view(stack) if stack else EmptyTree()


class _Changed:
    """Counts the members of a layer that are no folders, as they pass."""

    def __init__(self) -> None:
        self.files = 0

    def count(self, entry: Entry) -> None:
        self.files += entry.kind not in _FOLDERS


def _content_digest(tree: Tree, selected: list[Selected], seen: dict[bytes, str]) -> Digest:
    """What a selection has in a step's key. The dates of remote files are in the layer, and are not all the same.

    seen: is given the hashes of files that have no other place to be remembered.
    """
    digest = selection_digest(selected, functools.partial(_file_digest, tree, seen))
    dated = tree.dated if isinstance(tree, SourceTree) else None
    return digest if dated is None else record.digest((digest, dated))


def _file_digest(tree: Tree, seen: dict[bytes, str], entry: Entry) -> str:
    if isinstance(tree, SourceTree):
        return tree.digest(entry.path)
    import hashlib

    hasher = hashlib.sha256()
    for chunk in tree.content(entry.path).chunks():
        hasher.update(chunk)
    seen[entry.path] = digest = hasher.hexdigest()
    return digest


def _stratum(task: Task) -> Stratum:
    assert task.stratum is not None
    return task.stratum
