"""What the language has and the executor cannot do yet is refused before anything runs, never left out in silence."""

from __future__ import annotations

from builder.errors import StepFault
from builder.graph.graph import BuildGraph
from builder.graph.operation import Exec, Operation
from cache.digest import Digest


def check(graph: BuildGraph, target: Digest) -> None:
    """StepFault for the first vertex that target needs and that cannot be done."""
    for digest in graph.needed((target,)):
        problem = _problem(graph.vertices[digest].operation)
        if problem:
            raise StepFault(f"{problem} is not supported by this version", digest, hint="write the step without it")


def _problem(operation: Operation) -> str:
    if isinstance(operation, Exec) and any(mount.kind == "ssh" for mount in operation.mounts):
        return "RUN --mount=type=ssh"
    return ""
