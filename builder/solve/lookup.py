"""Lookup: what the store has of one graph, vertex by vertex: keys, results, and the trees that these amount to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from builder.graph.graph import BuildGraph, Vertex
from builder.graph.inputs import keyed_by, read_by_path, root_of, selections, shaped_by
from builder.graph.key import Key
from builder.graph.operation import Copy, Exec, FileSource, ImageSource, Operation
from builder.layer.layer import Layer
from builder.oci.chain import EMPTY, chain_id, chained
from builder.solve import result
from builder.solve.imported import Imported
from builder.solve.result import Result
from cache import record
from cache.digest import Digest
from cache.store import Store


class Known(NamedTuple):
    """A step whose layer is known, whoever made it."""

    vertex: Digest
    key: Digest
    result: Result


_SELECTION_NAME = 3  # what was kept under lower ones may lack what is there now


class Lookup:
    """Answers at once, from the store and from what it is told of this build; None where that is not enough.

    A vertex may be asked about once all its inputs were, and again when more is known of them.
    layer_of: the layer that a vertex has in this build, if it is packed. forget(vertex): whether to find no
    result for it (--no-cache). imported: asked after the store.
    """

    def __init__(
        self,
        graph: BuildGraph,
        store: Store,
        layer_of: Callable[[Digest], Layer | None],
        forget: Callable[[Digest], bool],
        imported: Imported | None = None,
    ) -> None:
        self._graph = graph
        self._store = store
        self._layer_of = layer_of
        self._forget = forget
        self._imported = imported
        self._keys: dict[Digest, Digest] = {}
        self._contents: dict[Digest, tuple[Digest, ...]] = {}
        self._learned: list[Digest] = []
        self._told: set[Digest] = set()  # whose contents another machine says
        self._results: dict[Digest, Result | None] = {}
        self._chains: dict[Digest, Digest] = {}

    def settle(self, *targets: Digest) -> None:
        """Ask about all that the targets stand on or read, so that nothing has to be asked twice along a long chain."""
        for digest in self._graph.needed(targets):
            self.key(digest)
            self.result(digest)
            self._chain(digest)

    def key(self, digest: Digest) -> Digest | None:
        """What a vertex's result is filed under; None while the content of its sources is not known."""
        known = self._keys.get(digest)
        if known is None:
            made = self.made_of(digest)
            if made is None:
                return None
            known = self._keys[digest] = made.digest()
        return known

    def made_of(self, digest: Digest) -> Key | None:
        """The struct that a vertex's key is the hash of; None as for key()."""
        vertex = self._graph.vertices[digest]
        operation = vertex.operation
        if isinstance(operation, ImageSource):
            # The layers are the file system; which manifest and tag led to them does not matter to a step.
            return Key(operation=ImageSource(manifest=EMPTY, diff_ids=operation.diff_ids))
        operation = _keyed(operation)
        parents = [self._keys.get(i) for i in keyed_by(self._graph.vertices, vertex)]
        contents = self.contents(digest)
        if contents is None or any(p is None for p in parents):
            return None
        return Key(operation=operation, parents=tuple(p for p in parents if p is not None), contents=contents)

    def result(self, digest: Digest) -> Result | None:
        """The result of a vertex, if it was made on the very trees that its inputs are now."""
        if digest in self._results:
            return self._results[digest]
        vertex = self._graph.vertices[digest]
        if isinstance(vertex.operation, ImageSource | FileSource):
            return None
        key = self.key(digest)
        on = self.made_on(vertex)
        if self._forget(digest) or key is None or on is None:
            return None
        found = self._results[digest] = self._find(digest, key, on)
        if found is not None:
            self._chain(digest)  # now, while what it stands on was asked a moment ago: no chain is climbed twice
        return found

    def miss(self, digest: Digest) -> None:
        """From now on a vertex has no result but the one that this build makes, whatever others may file."""
        self._results[digest] = None

    def contents(self, digest: Digest) -> tuple[Digest, ...] | None:
        """What a step reads by path, if that is known from this build or, for trees, from an earlier one."""
        vertex = self._graph.vertices[digest]
        if not selections(vertex.operation):
            return ()
        known = self._contents.get(digest)
        if known is not None:
            return known
        name = self._selection_name(vertex)
        if name is None:
            return None
        contents = record.recall(self._store.index.memo("selection", name), tuple[Digest, ...])
        if contents is None and self._imported is not None:
            contents = self._imported.selected(name)
            if contents is not None:
                self._told.add(digest)
        if contents is not None:
            self._contents[digest] = contents
        return contents

    def told(self, digest: Digest) -> tuple[Digest, ...] | None:
        """What another machine says that a step reads by path; None where we know it ourselves."""
        return self._contents[digest] if digest in self._told else None

    def refute(self, digest: Digest) -> None:
        """What told() gave is wrong."""
        name = self._selection_name(self._graph.vertices[digest])
        if name is not None and self._imported is not None:
            self._imported.wrong(name)

    def learn(self, digest: Digest, contents: tuple[Digest, ...]) -> None:
        """Note what a step reads by path."""
        self._contents[digest] = contents
        self._learned.append(digest)

    def identify(self, digest: Digest, identity: Digest) -> None:
        """Note what a remote source is in this build."""
        self._chains[digest] = identity

    def remember(self) -> None:
        """Keep what was learned for later builds, as far as the trees that it is about are packed."""
        for digest in self._graph.needed(self._learned):
            self._chain(digest)
        for digest in self._learned:
            name = self._selection_name(self._graph.vertices[digest])
            if name is not None:
                self._store.index.put_memo("selection", name, record.encode(self._contents[digest]))

    def found(self) -> list[Digest]:
        """The keys of all results that were found."""
        return [self._keys[digest] for digest, found in self._results.items() if found is not None]

    def known(self, *targets: Digest) -> Iterator[Known]:
        """All steps that the targets stand on or read whose layers are known by now, inputs first."""
        for digest in self._graph.needed(targets):
            key, layer, on = self.key(digest), self._layer(digest), self.made_on(self._graph.vertices[digest])
            self._chain(digest)
            if key is not None and layer is not None and on is not None:
                yield Known(digest, key, Result(layer, on))

    def selected(self, *targets: Digest) -> Iterator[tuple[Digest, tuple[Digest, ...]]]:
        """What their steps read by path in trees: the name of each selection, and what it holds."""
        for digest in self._graph.needed(targets):
            vertex = self._graph.vertices[digest]
            name = self._selection_name(vertex) if selections(vertex.operation) else None
            if name is not None and digest in self._contents:
                yield name, self._contents[digest]

    def _find(self, digest: Digest, key: Digest, on: tuple[Digest, ...]) -> Result | None:
        own = result.find(self._store, key)
        if own is not None and own.on == on:
            return own
        if self._imported is None:
            return None
        found = next((one for one in self._imported.results(key) if one.on == on), None)
        if found is not None:
            info = self._graph.info.get(digest)
            self._imported.used(key, found, info.name if info is not None else "")
        return found

    def made_on(self, vertex: Vertex) -> tuple[Digest, ...] | None:
        """The trees that shape what a step makes; None while one is not known."""
        chains = [self._chain(i) for i in shaped_by(vertex)]
        on = tuple(chain for chain in chains if chain is not None)
        return on if len(on) == len(chains) else None

    def _chain(self, digest: Digest) -> Digest | None:
        """The ChainID of a vertex's tree."""
        known = self._chains.get(digest)
        if known is None:
            made = self._stack(digest)
            if made is None:
                return None
            known = self._chains[digest] = made
        return known

    def _stack(self, digest: Digest) -> Digest | None:
        vertex = self._graph.vertices[digest]
        if isinstance(vertex.operation, ImageSource):
            return chain_id(vertex.operation.diff_ids)
        if isinstance(vertex.operation, FileSource):
            return None  # but for what identify() was told
        layer = self._layer(digest)
        root = root_of(vertex)
        below = EMPTY if root is None else self._chains.get(root)
        return chained(below, layer.diff_id) if layer is not None and below is not None else None

    def _layer(self, digest: Digest) -> Layer | None:
        layer, found = self._layer_of(digest), self._results.get(digest)
        return layer if layer is not None or found is None else found.layer

    def _selection_name(self, vertex: Vertex) -> Digest | None:
        """A name for what is selected in these very trees; None if one is not known, or is a client's folder."""
        operation = vertex.operation
        chains = [self._chains.get(i) for i in read_by_path(vertex)]
        if None in chains:
            return None
        exclude = operation.exclude if isinstance(operation, Copy) else ()
        return record.digest((_SELECTION_NAME, selections(operation), exclude, chains))


def _keyed(operation: Operation) -> Operation:
    """An operation without what does not decide what it makes: which cache a step is given, and who else has it."""
    if not isinstance(operation, Exec):
        return operation
    mounts = (replace(mount, id="", sharing="") if mount.kind == "cache" else mount for mount in operation.mounts)
    return replace(operation, mounts=tuple(mounts))
