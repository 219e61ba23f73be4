"""Remotes: what a build reads from elsewhere: files of URLs, and commits of git repositories."""

from __future__ import annotations

from builder.graph.operation import GitSource, RemoteSource
from builder.source.gitsources import GitFiles, GitSources
from builder.source.http import Downloads, HttpFile
from cache.digest import Digest

RemoteTree = GitFiles | HttpFile
"""A Tree that is not the client's and no layer. mtime: seconds, of its members."""


class Remotes:
    """Safe for many threads."""

    def __init__(self, git: GitSources, downloads: Downloads) -> None:
        self.git = git
        self.downloads = downloads

    def cancel(self) -> None:
        """End what is being fetched; what is asked for later fails with Canceled."""
        self.git.cancel()
        self.downloads.cancel()

    def close(self) -> None:
        self.git.close()
        self.downloads.close()

    def identify(self, source: RemoteSource) -> Digest:
        """A name for what the source is now. Raises SourceFault, TransportFault."""
        return self.git.identify(source) if isinstance(source, GitSource) else self.downloads.identify(source)

    def tree(self, source: RemoteSource) -> RemoteTree:
        """The files themselves."""
        return self.git.tree(source) if isinstance(source, GitSource) else self.downloads.tree(source)

    def time(self, source: RemoteSource) -> int | None:
        """What SOURCE_DATE_EPOCH is of a source: the commit's time, Last-Modified, an archive's newest file."""
        return self.git.commit_time(source) if isinstance(source, GitSource) else self.downloads.time(source)
