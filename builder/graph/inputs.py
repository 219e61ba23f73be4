"""What a vertex takes from each of its inputs."""

from __future__ import annotations

from builder.graph.graph import Vertex
from builder.graph.operation import Copy, ImageSource, LocalSource, Operation
from cache.digest import Digest


def root_of(vertex: Vertex) -> Digest | None:
    """The vertex whose tree a step works on, None for an empty one and for sources."""
    operation = vertex.operation
    if isinstance(operation, ImageSource | LocalSource) or not operation.rooted:
        return None
    return vertex.inputs[0]


def standing_on(vertex: Vertex) -> tuple[Digest, ...]:
    """The inputs whose whole tree is there when a step runs: the root, and what an Exec mounts."""
    operation = vertex.operation
    if isinstance(operation, Copy):
        return vertex.inputs[: operation.first_source]
    return vertex.inputs


def shaped_by(vertex: Vertex) -> tuple[Digest, ...]:
    """Of these, those whose whole tree decides what a step makes: none for a linked copy to owners by number."""
    return () if _stands_alone(vertex.operation) else standing_on(vertex)


def read_by_path(vertex: Vertex) -> tuple[Digest, ...]:
    """The inputs of a Copy that it only selects from."""
    operation = vertex.operation
    return vertex.inputs[operation.first_source :] if isinstance(operation, Copy) else ()


def _stands_alone(operation: Operation) -> bool:
    if not isinstance(operation, Copy) or not operation.link:
        return False
    return not operation.chown or operation.chown.replace(":", "").isdecimal()
