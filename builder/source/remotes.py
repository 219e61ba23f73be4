"""Remotes: what a build reads from elsewhere: files of URLs, and commits of git repositories."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from builder.errors import Canceled
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from cache.digest import Digest

if TYPE_CHECKING:
    from builder.policy.facts import GitFacts
    from builder.source.gitsources import GitSources
    from builder.source.http import Downloads
    from builder.source.sourcerules import SourceRules
    from builder.source.sourcetree import SourceTree

DOWNLOAD_LIMIT = 64 << 30  # bytes of one download, if nothing else is said


class Remotes:
    """Safe for many threads. Both kinds are opened when a source of theirs is first asked for.

    rules: which sources may be used, None for all of them; they are asked here.
    """

    def __init__(
        self,
        open_git: Callable[[], GitSources],
        open_downloads: Callable[[], Downloads],
        rules: SourceRules | None = None,
    ) -> None:
        self.rules = rules
        self._open_git, self._open_downloads = open_git, open_downloads
        self._git: GitSources | None = None
        self._downloads: Downloads | None = None
        self._lock = threading.Lock()
        self._canceled = False

    @property
    def git(self) -> GitSources:
        with self._lock:
            if self._git is None:
                self._check()
                self._git = self._open_git()
            return self._git

    @property
    def downloads(self) -> Downloads:
        with self._lock:
            if self._downloads is None:
                self._check()
                self._downloads = self._open_downloads()
            return self._downloads

    def cancel(self) -> None:
        """End what is being fetched; what is asked for later fails with Canceled."""
        with self._lock:
            self._canceled = True
            opened = [one for one in (self._git, self._downloads) if one is not None]
        for one in opened:
            one.cancel()
        if self.rules is not None:
            self.rules.cancel()

    def close(self) -> None:
        for one in (self._git, self._downloads):
            if one is not None:
                one.close()

    def used(self, source: RemoteSource) -> RemoteSource:
        """The source that stands in for this one, most often itself. Raises SourceFault where it is denied."""
        return source if self.rules is None else self.rules.remote(source, self)

    def identify(self, source: RemoteSource) -> Digest:
        """A name for what the source is now. Raises SourceFault, TransportFault."""
        source = self.used(source)
        return self.git.identify(source) if isinstance(source, GitSource) else self.downloads.identify(source)

    def tree(self, source: RemoteSource) -> SourceTree:
        """The files themselves."""
        source = self.used(source)
        return self.git.tree(source) if isinstance(source, GitSource) else self.downloads.tree(source)

    def time(self, source: RemoteSource) -> int | None:
        """What SOURCE_DATE_EPOCH is of a source: the commit's time, Last-Modified, an archive's newest file."""
        source = self.used(source)
        return self.git.commit_time(source) if isinstance(source, GitSource) else self.downloads.time(source)

    def checksum(self, source: HttpSource) -> str:
        """`sha256:<hex>` of a file. No rule is asked."""
        return str(self.downloads.get(source).digest)

    def content(self, source: HttpSource) -> str:
        """The path of a file. No rule is asked."""
        return self.downloads.path(source)

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        """What a commit is called. No rule is asked. objects: its own bytes, and those of its tag, too."""
        return self.git.facts(source, objects)

    def _check(self) -> None:
        if self._canceled:
            raise Canceled("canceled")
