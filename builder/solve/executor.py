"""Executor: the seam between deciding what to do and doing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from builder.graph.graph import Vertex
from builder.graph.operation import FileSource, RemoteSource
from builder.layer.layer import Layer
from builder.solve.stratum import Stratum
from cache.digest import Digest

Stack = tuple[Stratum, ...]
"""A tree as its layers, bottom first."""


class Task(msgspec.Struct, frozen=True):
    """One vertex to work on.

    below: the tree it works on; reads: the trees of its inputs; files: those inputs that are no layers;
    stratum: what it will be.
    """

    digest: Digest
    vertex: Vertex
    below: Stack
    reads: dict[Digest, Stack]
    files: dict[Digest, FileSource]
    stratum: Stratum | None


class Executor(Protocol):
    """Called from worker threads, many at once, but for prepare()."""

    def prepare(self, task: Task) -> None:
        """Called by the scheduler's own thread, just before the thread that will perform the task is started."""
        ...

    def identify(self, source: RemoteSource) -> Digest:
        """Ask what the source is now: a name for its content, its owners and its times, without getting all of it."""
        ...

    def measure(self, task: Task) -> tuple[Digest, ...]:
        """The digest of what each source of a Copy selects, in order of the inputs it reads."""
        ...

    def perform(self, task: Task) -> Callable[[], Layer]:
        """Do the work; when this returns, the tree is there for others. The call that is returned packs the layer."""
        ...

    def cancel(self) -> None:
        """End running commands; what is called later fails with Canceled."""
        ...
