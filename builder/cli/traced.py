"""Traced: what a build was made of and what became of its steps, kept for the next one and for `lapstrake explain`.

A build that finds all in the cache, as the one before it did, costs one change of a file's time here.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from builder.cli.definition import Definition
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.graph.event import Event, Failed, Missed
from builder.graph.gitref import redacted
from builder.graph.graph import BuildGraph
from builder.graph.operation import FileSource
from builder.oci.platform import host
from builder.solve.executor import Task
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store

if TYPE_CHECKING:
    from builder.solve.local import LocalExecutor
    from builder.solve.lookup import Lookup
    from builder.solve.scheduler import Scheduler
    from builder.solve.tracing import Tracing
    from builder.trace.trace import Outcome, Trace


class Traced:
    """One build. variable(name): ARG or ENV, "" if the Dockerfile sets none. fresh: steps of --no-cache-filter.

    follow() comes before the scheduler runs, finish() when it has ended, well or not.
    """

    def __init__(
        self,
        request: BuildRequest,
        definition: Definition,
        store: Store,
        graph: BuildGraph,
        targets: Sequence[Digest],
        fresh: frozenset[Digest],
        variable: Callable[[str], str],
        report: Reporter,
    ) -> None:
        self._request, self._definition, self._store = request, definition, store
        self._graph, self._targets, self._fresh = graph, targets, fresh
        self._variable, self._report = variable, report
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._tracing: Tracing | None = None
        self._complained: set[str] = set()
        self._scheduler: Scheduler | None = None
        self._executor: LocalExecutor | None = None

    def emit(self, event: Event) -> None:
        self._events.append(event)
        self._report.emit(event)

    def follow(self, scheduler: Scheduler, executor: LocalExecutor) -> None:
        self._scheduler, self._executor = scheduler, executor

    def why(self, task: Task) -> str:
        """Why a step that is about to run was not in the cache; "" where that cannot be told, which is said once."""
        try:
            return self._begun().why(task.digest)
        except Exception as error:  # of words alone no build is to fail, be it our own fault
            self._complain("why a step ran could not be told", error)
            return ""

    def finish(self) -> None:
        """Keep what is worth keeping. Says so where the store cannot: that is no reason for a build to fail."""
        assert self._scheduler is not None
        try:
            fingerprint = _fingerprint(self._graph, self._targets, self._scheduler.lookup)
            if any(isinstance(event, Missed | Failed) for event in self._events) or not self._again(fingerprint):
                self._begun().save(fingerprint, self.outcomes())
        except Exception as error:
            self._complain("what this build was made of could not be kept", error)

    def _complain(self, what: str, error: Exception) -> None:
        if isinstance(error, Fault):
            why = error.message
        elif isinstance(error, OSError) and error.strerror:
            why = error.strerror
        else:
            why = f"internal error, please report this: {type(error).__name__}: {error}"
        with self._lock:
            first, self._complained = what not in self._complained, {*self._complained, what}
        if first:
            self._report.warn(f"{what}: {why}")

    def outcomes(self) -> tuple[Outcome, ...]:
        """What became of the steps so far."""
        from builder.solve.outcomes import outcomes

        if self._scheduler is None:
            return ()
        return outcomes(self._events, self._graph, self._scheduler, self._begun().masked)

    def _again(self, fingerprint: str) -> bool:
        """Note that the same was built again, and all was cached; False where it is not known yet."""
        path = self._store.path("traces", self._identity(), fingerprint)
        try:
            os.utime(path)
        except OSError:
            return False
        with suppress(FileNotFoundError):
            os.unlink(path + ".ran")
        return True

    def _identity(self) -> str:
        about = (self._file(), self._context(), self._request.target, self._platforms())
        return Digest.of(repr(about).encode("utf-8", "surrogateescape")).hex

    def _file(self) -> str:
        """Where the Dockerfile is, as far as it has a place."""
        given = self._request.file
        if given is None or given == "-" or "://" in given or self._definition.source is not None:
            return redacted(given or self._definition.name)
        return os.path.abspath(given)

    def _context(self) -> str:
        given = self._request.context
        return redacted(given) if given == "-" or self._definition.source is not None else self._definition.context

    def _platforms(self) -> tuple[str, ...]:
        return tuple(platform.full for platform in self._request.platforms or (host(),))

    def _begun(self) -> Tracing:
        with self._lock:
            if self._tracing is None:
                self._tracing = self._begin()
            return self._tracing

    def _begin(self) -> Tracing:
        from builder.solve.tracing import Tracing, Words
        from builder.trace.traces import Traces
        from frontends.dockerfile.style import holds_secret

        assert self._scheduler is not None and self._executor is not None
        env = tuple(f"{name}={value}" for name, value in self._request.build_args)
        words = Words(self._what(), env, self._variable, holds_secret, self._forced)
        traces = Traces(self._store.root, self._identity())
        lookup, members = self._scheduler.lookup, self._executor.members
        return Tracing(traces, self._about(), self._graph, self._targets, lookup, self._store, members, words)

    def _about(self) -> Trace:
        from builder.trace.trace import Trace

        def plain(text: str) -> str:
            return text.encode("utf-8", "backslashreplace").decode()

        folders = {name: os.path.realpath(path) for name, path in self._request.named_folders}
        if self._definition.context and self._request.context != "-":
            folders["context"] = os.path.realpath(self._definition.context)
        return Trace(
            steps=(),
            file=plain(self._file()),
            context=plain(self._context()),
            target=plain(self._request.target),
            platforms=self._platforms(),
            folders={name: plain(path) for name, path in folders.items()},
        )

    def _what(self) -> str:
        target = f" (target {self._request.target})" if self._request.target else ""
        return f"{self._definition.name}{target}"

    def _forced(self, vertex: Digest) -> str:
        if self._request.no_cache:
            return "--no-cache"
        return "--no-cache-filter" if vertex in self._fresh else ""


def _fingerprint(graph: BuildGraph, targets: Sequence[Digest], lookup: Lookup) -> str:
    """A name for all that a build was made of: its keys, and the names and lines of its steps."""
    hasher = hashlib.sha256()
    for digest in graph.needed(targets):
        info = graph.info.get(digest)
        name, line = (info.name, info.span.first if info.span is not None else 0) if info is not None else ("", 0)
        key = "" if isinstance(graph.vertices[digest].operation, FileSource) else lookup.key(digest)
        hasher.update(f"{key} {line} {name}\0".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()
