"""Keys of the vertices of one build; a key that needs the content of a tree is not there until that is known."""

from __future__ import annotations

from builder.graph.graph import BuildGraph, Vertex
from builder.graph.key import Key
from builder.graph.operation import Copy, ImageSource, InlineFile, LocalSource, Operation
from cache import record
from cache.digest import Digest
from cache.store import Store


class Keys:
    """key() answers at once from what is known; learn() tells it what a copy's sources hold."""

    def __init__(self, graph: BuildGraph, store: Store) -> None:
        self._graph = graph
        self._store = store
        self._keys: dict[Digest, Digest] = {}
        self._contents: dict[Digest, tuple[Digest, ...]] = {}

    def key(self, digest: Digest) -> Digest | None:
        """The key of a vertex that makes or is a tree; None while the content of its sources is not known."""
        known = self._keys.get(digest)
        if known is None:
            made = self.explain(digest)
            if made is None:
                return None
            known = self._keys[digest] = made.digest()
        return known

    def explain(self, digest: Digest) -> Key | None:
        """The struct that the key is the hash of."""
        vertex = self._graph.vertices[digest]
        operation = vertex.operation
        if isinstance(operation, ImageSource):
            # The layers are the file system; which manifest and tag led to them does not matter to a step.
            operation = ImageSource(manifest=Digest.of(b""), diff_ids=operation.diff_ids)
            return Key(operation=operation)
        inputs = () if _stands_alone(operation) else standing_on(vertex)
        parents = [self.key(i) for i in inputs]
        contents = self.contents(digest)
        if contents is None or any(p is None for p in parents):
            return None
        return Key(operation=operation, parents=tuple(p for p in parents if p is not None), contents=contents)

    def contents(self, digest: Digest) -> tuple[Digest, ...] | None:
        """What a Copy's sources hold, if that is known from this build or, for trees, from an earlier one."""
        vertex = self._graph.vertices[digest]
        if not isinstance(vertex.operation, Copy) or all(isinstance(s, InlineFile) for s in vertex.operation.sources):
            return ()
        known = self._contents.get(digest)
        if known is not None:
            return known
        name = self._selection_name(vertex)
        stored = self._store.index.memo("selection", name) if name is not None else None
        if stored is None:
            return None
        self._contents[digest] = record.decode(stored, tuple[Digest, ...])
        return self._contents[digest]

    def learn(self, digest: Digest, contents: tuple[Digest, ...]) -> None:
        """Note what a Copy's sources hold; kept for later builds where the sources are trees with keys."""
        self._contents[digest] = contents
        name = self._selection_name(self._graph.vertices[digest])
        if name is not None:
            self._store.index.put_memo("selection", name, record.encode(contents))

    def _selection_name(self, vertex: Vertex) -> Digest | None:
        """A name for what is selected in trees of these keys; None if a client folder is among them."""
        sources = read_by_path(vertex)
        if any(isinstance(self._graph.vertices[i].operation, LocalSource) for i in sources):
            return None
        keys = [self.key(i) for i in sources]
        if any(k is None for k in keys):
            return None
        operation = vertex.operation
        assert isinstance(operation, Copy)
        return record.digest((operation.sources, operation.exclude, operation.unpack, keys))


def _stands_alone(operation: Operation) -> bool:
    """A linked copy whose owners are numbers: what lies below it does not matter."""
    if not isinstance(operation, Copy) or not operation.link:
        return False
    return not operation.chown or operation.chown.replace(":", "").isdecimal()


def standing_on(vertex: Vertex) -> tuple[Digest, ...]:
    """The inputs whose whole tree matters: the root, and what an Exec mounts."""
    operation = vertex.operation
    if isinstance(operation, Copy):
        return vertex.inputs[: operation.first_source]
    return vertex.inputs


def read_by_path(vertex: Vertex) -> tuple[Digest, ...]:
    """The inputs of a Copy that it only selects from."""
    operation = vertex.operation
    return vertex.inputs[operation.first_source :] if isinstance(operation, Copy) else ()


def root_of(vertex: Vertex) -> Digest | None:
    """The vertex whose tree a step works on, None for an empty one and for sources."""
    operation = vertex.operation
    if isinstance(operation, ImageSource | LocalSource) or not operation.rooted:
        return None
    return vertex.inputs[0]
