"""Folders: the client's folders that a build reads, each opened once, with its ignore rules and known hashes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from builder.cli.definition import Definition
from builder.errors import SourceFault
from builder.graph.graph import BuildGraph
from builder.graph.operation import LocalSource
from builder.layer.entry import Kind
from builder.oci.config import DEFAULT_EPOCH
from builder.source.context import LocalContext
from builder.source.ignore import Ignore
from cache.digest import Digest
from cache.stats import StatIndex
from cache.store import Store

if TYPE_CHECKING:
    from builder.source.sourcerules import SourceRules


class Folders:
    """named: --build-context folders. exact_modes: see LocalContext.

    contexts: what open() opened, by name; the main one is `context`.
    """

    def __init__(
        self,
        definition: Definition,
        named: tuple[tuple[str, str], ...],
        store: Store,
        rules: SourceRules | None,
        exact_modes: bool = False,
    ) -> None:
        self.contexts: dict[str, LocalContext] = {}
        self._definition = definition
        self._paths = {"context": definition.context, **dict(named)}
        self._store = store
        self._rules = rules
        self._exact_modes = exact_modes
        self._ignores: dict[str, Ignore | None] = {}
        self._stats: list[StatIndex] = []

    def open(self, graph: BuildGraph) -> None:
        """Open what the graph reads. Raises SourceFault, also where the policy forbids it."""
        used = {v.operation.name for v in graph.vertices.values() if isinstance(v.operation, LocalSource)}
        for name in sorted(used):
            if self._rules is not None:
                self._rules.local(name)
            self.contexts[name] = self._context(self._paths[name])

    def close(self) -> None:
        for context in self.contexts.values():
            context.close()

    def hides(self, path: str) -> bool:
        """Whether the ignore file hides a path of the main context for certain."""
        ignore = self._ignore(self._definition.context)
        return ignore is not None and ignore.hides(path)

    def newest(self) -> int | None:
        """The latest time of change of a file that the main context shows, in seconds; None if it shows no file."""
        context = self._context(self._definition.context)
        try:
            files = (entry.path for entry in context.walk(b"") if entry.kind in (Kind.FILE, Kind.HARDLINK))
            return max((context.modified(path) for path in files), default=None)
        finally:
            context.close()

    def save_stats(self) -> None:
        """Keep what the files hashed to for the next build."""
        for stats in self._stats:
            stats.save(self._store.path("tmp", "stats-"))

    def _context(self, folder: str) -> LocalContext:
        root = os.path.realpath(folder)
        stats = self._stat_index(root)
        owners = self._definition.owners if folder == self._definition.context else {}
        return LocalContext(root, self._ignore(folder), stats, DEFAULT_EPOCH, exact=self._exact_modes, owners=owners)

    def _ignore(self, folder: str) -> Ignore | None:
        if folder not in self._ignores:
            self._ignores[folder] = self._definition.ignore(folder)
        return self._ignores[folder]

    def _stat_index(self, root: str) -> StatIndex:
        try:
            device = os.stat(root).st_dev
        except OSError as error:
            raise SourceFault(f"unable to prepare context: path {root!r}: {error.strerror}") from error
        stats = StatIndex(self._store.path("stats", Digest.of(os.fsencode(root)).hex), device, time.time_ns())
        self._stats.append(stats)
        return stats
