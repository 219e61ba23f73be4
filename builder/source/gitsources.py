"""GitSources: the git repositories that one build reads, each asked and checked out at most once."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from builder.errors import SourceFault
from builder.graph.gitref import redacted
from builder.graph.operation import GitSource
from builder.layer.remove import remove
from builder.source.context import LocalContext
from builder.source.git import Git
from builder.source.gitaccess import Agents, Secrets, access
from builder.source.gitcheckout import check_out, fill_submodules, inner, keep_git_dir
from builder.source.gitrepository import COMMIT, GitRepository, Resolved
from cache import record
from cache.digest import Digest
from cache.stats import StatIndex
from cache.store import Store
from cache.wholefile import temp_name

if TYPE_CHECKING:
    from builder.policy.facts import GitFacts

_VERSION = "lapstrake-git-1"  # decides keys: another way to check out needs a new number


class GitFiles(LocalContext):
    """A checkout. mtime: of every member."""

    def __init__(self, folder: str, mtime: int) -> None:
        stats = StatIndex("", os.stat(folder).st_dev, 0)  # of a folder that will not be there again
        super().__init__(folder, None, stats, mtime)
        self.dated = mtime

    def modified(self, path: bytes) -> int:
        return self._mtime


class _Checkout:
    """lock: of the folder, says that it is in use (Store.tidy)."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.mkdir(folder, 0o700)
        self.lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def close(self) -> None:
        os.close(self.lock)
        parent = os.open(os.path.dirname(self.folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(parent, os.fsencode(os.path.basename(self.folder)))
        finally:
            os.close(parent)


class GitSources:
    """mtime: seconds, of files that no commit dates. limit: bytes of one download. close() removes the checkouts.

    Safe for many threads.
    """

    def __init__(
        self, store: Store, environment: Mapping[str, str], secrets: Secrets, agents: Agents, mtime: int, limit: int
    ) -> None:
        self._store = store
        self._git = Git(environment, limit)
        self._secrets, self._agents, self._mtime = secrets, agents, mtime
        home = environment.get("HOME", "")
        self._hosts = [os.path.join(home, ".ssh", "known_hosts")] if os.path.isabs(home) else []
        self._lock = threading.Lock()
        self._locks: dict[GitSource, threading.Lock] = {}
        self._resolved: dict[GitSource, Resolved] = {}
        self._facts: dict[tuple[GitSource, bool], GitFacts] = {}
        self._trees: dict[GitSource, GitFiles] = {}
        self._checkouts: list[_Checkout] = []

    def cancel(self) -> None:
        self._git.cancel()

    def close(self) -> None:
        for tree in self._trees.values():
            tree.close()
        for checkout in self._checkouts:
            checkout.close()

    def identify(self, source: GitSource) -> Digest:
        """A name for the files. The server is asked only where the Dockerfile does not say which commit it is."""
        at = self._at(source)
        kept = (at.name, at.object) if source.keep_git_dir and not source.subdir else ()
        options = (source.subdir, kept, source.submodules, source.mtime)
        return record.digest((_VERSION, at.commit, options, self._mtime))

    def commit_time(self, source: GitSource) -> int:
        """Seconds since 1970 at which the commit was made."""
        repository = self._repository(source)
        commit = repository.fetch(self._at(source))
        what = f"failed to get commit time for {repository.shown}"
        text = repository.local("show", "--no-patch", "--no-show-signature", "--format=%ct", commit, what=what)
        return int(text.strip() or b"0")

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        """What a policy may look at. objects: also the bytes of the commit, and of a tag that leads to it.

        The same for all of a build, as what it uses is. SourceFault where the ref is not what its checksum says.
        """
        with self._lock:
            known = self._facts.get((source, objects))
        if known is None:
            known = self._look(source, objects)
            with self._lock:
                self._facts[source, objects] = known
        return known

    def _look(self, source: GitSource, objects: bool) -> GitFacts:
        from builder.policy.facts import GitFacts

        at, repository = self._at(source), self._repository(source)
        if not at.name and not COMMIT.match(source.ref):
            at = repository.resolve(source.ref)
            repository.check(at, at.commit, source.checksum)
        if not objects:
            return GitFacts(at.name, at.object, at.commit)
        commit = repository.fetch(at)
        what = f"failed to read a commit of {repository.shown}"
        tag = b"" if at.object == commit else repository.local("cat-file", "tag", at.object, what=what)
        return GitFacts(at.name, at.object, commit, repository.local("cat-file", "commit", commit, what=what), tag)

    def read(self, source: GitSource, path: str) -> bytes | None:
        """A plain file of the repository, without a checkout where that is not needed; None if it is not there."""
        repository = self._repository(source)
        commit = repository.fetch(self._at(source))
        what = f"failed to read {path} of {repository.shown}"
        name = os.path.normpath(source.subdir + os.path.normpath(f"/{path}")).lstrip("/")
        listed = repository.local("ls-tree", "-z", commit, "--", name, what=what) if name else b""
        if listed.startswith((b"100644 ", b"100755 ")):
            return repository.local("cat-file", "blob", listed.split(None, 3)[2].decode(), what=what)
        return None

    def leads_on(self, source: GitSource, path: str) -> bool:
        """Whether a part of a path is a link or a repository of its own, which only a checkout can follow."""
        repository = self._repository(source)
        commit = repository.fetch(self._at(source))
        parts = os.path.normpath(source.subdir + os.path.normpath(f"/{path}")).lstrip("/").split("/")
        for number in range(len(parts)):
            name = "/".join(parts[: number + 1])
            listed = repository.local("ls-tree", "-z", commit, "--", name, what=f"failed to read {repository.shown}")
            if not listed.startswith(b"040000 "):
                return listed.startswith((b"120000 ", b"160000 "))
        return False

    def tree(self, source: GitSource) -> GitFiles:
        """The files, checked out when they are first asked for."""
        with self._lock_of(source):
            if source not in self._trees:
                self._trees[source] = self._check_out(source)
            return self._trees[source]

    def _lock_of(self, source: GitSource) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(source, threading.Lock())

    def _at(self, source: GitSource) -> Resolved:
        with self._lock:
            known = self._resolved.get(source)
        if known is None:
            known = self._resolve(source)
            with self._lock:
                self._resolved[source] = known
        return known

    def _resolve(self, source: GitSource) -> Resolved:
        repository = self._repository(source)
        checksum = source.checksum.lower()
        if source.fetch_by_commit and not COMMIT.match(source.ref):
            if not checksum:
                raise SourceFault("fetch-by-commit requires a checksum or a commit SHA ref")
            if not COMMIT.match(checksum):
                raise SourceFault(f'fetch-by-commit requires a full commit SHA checksum, got "{source.checksum}"')
            name = source.ref if not source.ref or source.ref.startswith("refs/") else f"refs/heads/{source.ref}"
            return Resolved(name, checksum, checksum)
        if COMMIT.match(checksum) and not source.keep_git_dir and repository.has(checksum):
            return Resolved("", checksum, checksum)  # what else the ref may be by now would only be an error
        at = repository.resolve(source.ref)
        if COMMIT.match(source.ref):
            repository.check(at, at.commit, source.checksum)
            if repository.has(at.object):
                at = msgspec.structs.replace(at, commit=repository.fetch(at))
            return at
        repository.check(at, at.commit, source.checksum)
        return at

    def _repository(self, source: GitSource) -> GitRepository:
        return self._open(source.remote)

    def _open(self, remote: str, main: str = "") -> GitRepository:
        folder = self._store.path("git")
        way = access(remote, self._secrets, self._agents, (os.path.join(folder, "known_hosts"), *self._hosts), main)
        return GitRepository(self._git, folder, way, self._store.blobs.hold)

    def _check_out(self, source: GitSource) -> GitFiles:
        at = self._at(source)
        repository = self._repository(source)
        commit = repository.fetch(at)
        checkout = _Checkout(temp_name(self._store.path("tmp", "git-")))
        self._checkouts.append(checkout)
        folder = os.path.join(checkout.folder, "files")
        os.mkdir(folder, 0o700)
        check_out(repository, commit, folder)
        if source.submodules:
            remote = source.remote
            fill_submodules(repository, remote, commit, folder, lambda url: self._open(url, remote))
        if source.keep_git_dir and not source.subdir:
            keep_git_dir(repository, msgspec.structs.replace(at, commit=commit), folder)
        mtime = self.commit_time(source) if source.mtime == "commit" else self._mtime
        return GitFiles(inner(folder, source.subdir, redacted(source.remote)), mtime)
