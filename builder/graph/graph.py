"""BuildGraph: operations and what they read, by digest. Pure values; no order of execution is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from builder.graph.operation import Operation
from cache import record
from cache.digest import Digest


class Vertex(msgspec.Struct, frozen=True):
    """An operation and the vertices it reads. Its digest is that of its record, so equal work is one vertex."""

    operation: Operation
    inputs: tuple[Digest, ...] = ()

    def digest(self) -> Digest:
        return record.digest(self)


class Span(msgspec.Struct, frozen=True):
    """Lines of a source file: first and last, counted from 1."""

    file: str
    first: int
    last: int


class VertexInfo(msgspec.Struct, frozen=True):
    """What a person is shown of a vertex; never part of a key. name: `[build 2/4] RUN make`."""

    name: str
    span: Span | None = None


class BuildGraph(msgspec.Struct, frozen=True):
    """vertices: inputs before the vertices that read them. info: by vertex digest, for those that have a name."""

    vertices: dict[Digest, Vertex]
    info: dict[Digest, VertexInfo]

    def needed(self, targets: Iterable[Digest]) -> Iterator[Digest]:
        """The vertices that targets reach, inputs first, each once."""
        wanted: set[Digest] = set()
        stack = list(targets)
        while stack:
            digest = stack.pop()
            if digest not in wanted:
                wanted.add(digest)
                stack.extend(self.vertices[digest].inputs)
        return (digest for digest in self.vertices if digest in wanted)


class GraphBuilder:
    """Collects vertices while a frontend walks its instructions; `graph()` hands out the frozen value."""

    def __init__(self) -> None:
        self._vertices: dict[Digest, Vertex] = {}
        self._info: dict[Digest, VertexInfo] = {}

    def add(self, operation: Operation, inputs: tuple[Digest, ...] = (), info: VertexInfo | None = None) -> Digest:
        """Add a vertex, or find the equal one; returns its digest. The first name given to it stays."""
        vertex = Vertex(operation, inputs)
        digest = vertex.digest()
        self._vertices.setdefault(digest, vertex)
        if info is not None:
            self._info.setdefault(digest, info)
        return digest

    def graph(self) -> BuildGraph:
        return BuildGraph(dict(self._vertices), dict(self._info))
