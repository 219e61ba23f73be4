"""What a vertex takes from each of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.graph.graph import BuildGraph, Vertex
from builder.graph.operation import Copy, Exec, FileSource, ImageSource, Operation, Selection
from cache.digest import Digest


def root_of(vertex: Vertex) -> Digest | None:
    """The vertex whose tree a step works on, None for an empty one and for sources."""
    operation = vertex.operation
    if isinstance(operation, ImageSource | FileSource) or not operation.rooted:
        return None
    return vertex.inputs[0]


def chain_of(graph: BuildGraph, targets: Iterable[Digest]) -> frozenset[Digest]:
    """The vertices whose layers are those of the targets' own trees."""
    found: set[Digest] = set()
    for target in targets:
        at: Digest | None = target
        while at is not None and at not in found:
            found.add(at)
            at = root_of(graph.vertices[at])
    return frozenset(found)


def standing_on(vertex: Vertex) -> tuple[Digest, ...]:
    """The inputs whose whole tree matters to a step: the root, and what an Exec's caches begin with."""
    operation = vertex.operation
    if isinstance(operation, Copy):
        return vertex.inputs[: operation.first_source]
    if isinstance(operation, Exec):
        wanted = {m.input for m in operation.mounts if m.kind == "cache"} | ({0} if operation.rooted else set())
        return tuple(one for n, one in enumerate(vertex.inputs) if n in wanted)
    return vertex.inputs


def shaped_by(vertex: Vertex) -> tuple[Digest, ...]:
    """Of these, those whose whole tree decides what a step makes: none for a linked copy to owners by number."""
    return () if _stands_alone(vertex.operation) else standing_on(vertex)


def keyed_by(vertices: Mapping[Digest, Vertex], vertex: Vertex) -> tuple[Digest, ...]:
    """The vertices whose keys are a step's parents: what shapes it, and what lies below that without shaping it.

    A linked copy has only itself in its own key. What stands on it sees the whole tree.
    """
    found: list[Digest] = []
    for shaping in shaped_by(vertex):
        at: Digest | None = shaping
        while at is not None:
            found.append(at)
            at = None if shaped_by(vertices[at]) else root_of(vertices[at])
    return tuple(found)


def read_by_path(vertex: Vertex) -> tuple[Digest, ...]:
    """The inputs of which only what `selections` names matters."""
    indices = sorted({selection.input for selection in selections(vertex.operation)})
    return tuple(vertex.inputs[n] for n in indices)


def selections(operation: Operation) -> tuple[Selection, ...]:
    """What a step reads by path: a Copy's sources, an Exec's bind mounts."""
    if isinstance(operation, Copy):
        return tuple(source for source in operation.sources if isinstance(source, Selection))
    if isinstance(operation, Exec):
        binds = [m for m in operation.mounts if m.kind == "bind"]
        return tuple(Selection(input=m.input, path=m.source) for m in binds if m.input is not None)
    return ()


def _stands_alone(operation: Operation) -> bool:
    if not isinstance(operation, Copy) or not operation.link:
        return False
    return not operation.chown or operation.chown.replace(":", "").isdecimal()
