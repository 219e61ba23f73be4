"""GitRepository: what the store has of one remote: a bare repository, into which single commits are fetched."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from builder.errors import SourceFault
from builder.source.git import Git, GitFailed
from builder.source.gitaccess import GitAccess
from cache.digest import Digest
from cache.filelock import locked
from cache.wholefile import replace_file

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_ASK = 120.0  # seconds
_FETCH = 3600.0
_OWN = "refs/lapstrake/"  # what keeps fetched objects, and tells a server what need not be sent again
_NO_SHALLOW = ("shallow", "depth")
_NO_COMMIT = ("not our ref", "unadvertised object", "not advertised", "couldn't find remote ref")


class Resolved(msgspec.Struct, frozen=True):
    """A ref as it is now. name: in full, "" if a commit was asked for. object: a tag's, if it is one; commit."""

    name: str
    object: str
    commit: str


def lease(name: str) -> Digest:
    """What holds a repository (cache.leases). name: of its folder."""
    return Digest.of(f"git {name}".encode())


class GitRepository:
    """folder: of the store, for all repositories. Safe for many threads and processes.

    The date of <name>.lock says when it was used last; the file `description`, as git has it, whose it is.
    """

    def __init__(self, git: Git, folder: str, access: GitAccess, hold: Callable[[Digest], None]) -> None:
        """hold: told what is used, before it is looked at."""
        self._git, self._folder, self._access = git, folder, access
        name = Digest.of(os.fsencode(access.url)).hex
        self._path = os.path.join(folder, name)
        hold(lease(name))
        with suppress(FileNotFoundError):
            os.utime(f"{self._path}.lock")

    @property
    def shown(self) -> str:
        return self._access.shown

    def resolve(self, ref: str) -> Resolved:
        """What a branch, a tag, HEAD ("") or a commit is. Raises SourceFault where there is no such ref."""
        if ref.startswith("-") or any(ord(ch) < 33 for ch in ref):
            raise SourceFault(f"invalid git ref {ref!r}")
        if COMMIT.match(ref):
            return Resolved("", ref, ref)
        words = ("ls-remote", "--symref", "--", self._access.url, *((ref, f"{ref}^{{}}") if ref else ("HEAD",)))
        out = self._remote(*words, what=f"failed to fetch remote {self.shown}", timeout=_ASK)
        lines = [line.partition("\t")[::2] for line in out.decode("utf-8", "surrogateescape").splitlines()]
        found = {name: value for value, name in lines if COMMIT.match(value)}
        if not ref:
            return self._head(found, [value for value, name in lines if name == "HEAD"])
        for name in (f"refs/{ref.removeprefix('refs/')}", f"refs/heads/{ref}", f"refs/tags/{ref}"):
            if name in found:
                return Resolved(name, found[name], found.get(f"{name}^{{}}", found[name]))
        raise SourceFault(f"repository does not contain ref {ref}: {self.shown}", "name a branch, a tag or a commit")

    def _head(self, found: dict[str, str], lines: list[str]) -> Resolved:
        if "HEAD" not in found:
            raise SourceFault(f"could not find default branch for repository: {self.shown}", "it may be empty")
        name = next((line.removeprefix("ref: ") for line in lines if line.startswith("ref: ")), "")
        return Resolved(name, found["HEAD"], found["HEAD"])

    def has(self, name: str) -> bool:
        """Whether a commit or tag is here with all its files, so that it need not be fetched.

        git writes a ref when all that it leads to is there: the object alone may be left of a fetch that was killed.
        """
        if not os.path.isdir(self._path):
            return False
        try:
            found = self.local("rev-parse", "--verify", "--quiet", _OWN + name, what="git")
        except GitFailed:
            found = b""
        return found.strip() == name.encode() or self._is_reached(name)

    def fetch(self, wanted: Resolved) -> str:
        """See that a commit, or the tag that leads to it, is here with its files; gives the commit."""
        if not self.has(wanted.object):
            with self._locked(len(wanted.object)) as lock:
                if not self.has(wanted.object):
                    self._fetch(wanted, lock)
        what = f"{self.shown}: {wanted.object} is no commit"
        commit = self.local("rev-parse", "--verify", f"{wanted.object}^{{commit}}", what=what).decode().strip()
        if commit != wanted.object:
            self._keep(commit)
        return commit

    def check(self, wanted: Resolved, commit: str, checksum: str) -> None:
        """SourceFault where the commit is not the one that --checksum names, in full or shortened."""
        if not checksum:
            return
        if not _HEX.match(checksum):
            raise SourceFault(f"invalid checksum {checksum} for Git URL, expected hex commit hash")
        names = dict.fromkeys((wanted.object, commit))
        if not any(name.startswith(checksum.lower()) for name in names):
            raise SourceFault(f"expected checksum to match {checksum}, got {' or '.join(names)}")

    def local(self, *words: str, what: str, environment: dict[str, str] | None = None) -> bytes:
        """Run git in the repository, without the remote."""
        return self._git.run(f"--git-dir={self._path}", *words, what=what, environment=environment, timeout=_FETCH)

    def beside(self, *words: str, what: str) -> bytes:
        """Run git in another repository, without the remote."""
        return self._git.run(*words, what=what, timeout=_FETCH)

    @property
    def objects(self) -> str:
        return os.path.join(self._path, "objects")

    def _fetch(self, wanted: Resolved, lock: int) -> None:
        what = f"failed to fetch remote {self.shown}"
        own = f"{_OWN}{wanted.object}"
        shallow = os.path.exists(os.path.join(self._path, "shallow"))
        attempts: list[tuple[tuple[str, ...], str]] = [
            (("--depth=1",), f"+{wanted.object}:{own}"),
            *([(("--depth=1",), f"+{wanted.name}:{own}")] if wanted.name else []),  # some give only what a ref names
            (("--unshallow",) if shallow else (), f"+refs/*:{_OWN}all/*"),
        ]
        for options, refspec in attempts:
            try:
                self._pull(*options, refspec=refspec, what=what, lock=lock)
            except GitFailed as error:
                may_differ = any(word in error.words.lower() for word in (*_NO_SHALLOW, *_NO_COMMIT))
                if refspec == attempts[-1][1] or not may_differ:
                    raise
            if self.has(wanted.object):
                return
        raise SourceFault(f"{what}: {wanted.object} is not in the repository", "the ref may have moved: try again")

    def _keep(self, name: str) -> None:
        self.local("update-ref", _OWN + name, name, what=f"cannot keep {name} of {self.shown}")

    def _is_reached(self, name: str) -> bool:
        """Whether one of the refs that were fetched leads to a commit."""
        words = ("for-each-ref", "--count=1", f"--contains={name}", f"{_OWN}all/")
        try:
            return bool(self.local(*words, what="git").strip())
        except GitFailed:
            return False

    def _pull(self, *options: str, refspec: str, what: str, lock: int) -> None:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._path, "shallow.lock"))  # of a git that was killed: we hold the lock
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *options, "--", self._access.url, refspec)
        try:
            self._remote(f"--git-dir={self._path}", *words, what=what, timeout=_FETCH, lock=lock)
        except SourceFault:
            self._tidy()
            raise

    def _tidy(self) -> None:
        """Remove what a fetch that failed left of a pack."""
        with suppress(OSError):
            for entry in os.scandir(os.path.join(self.objects, "pack")):
                if entry.name.startswith("tmp_"):
                    os.unlink(entry.path)

    @contextmanager
    def _locked(self, length: int) -> Iterator[int]:
        """The repository, made if need be, with nobody else fetching into it. length: of its object names."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        with locked(f"{self._path}.lock") as lock:
            if not os.path.exists(os.path.join(self._path, "HEAD")):
                form = "--object-format=sha256" if length == 64 else "--object-format=sha1"
                self._git.run(
                    "init", "--quiet", "--bare", "--template=", form, self._path, what=f"cannot make {self._path}"
                )
                replace_file(os.path.join(self._path, "description"), f"{self.shown}\n".encode(errors="replace"))
            yield lock

    def _remote(self, *words: str, what: str, timeout: float, lock: int | None = None) -> bytes:
        try:
            return self._git.run(
                *words,
                what=what,
                config=self._access.config,
                environment=dict(self._access.environment),
                timeout=timeout,
                held=() if lock is None else (lock,),
            )
        except GitFailed as error:
            raise GitFailed(error.message, error.words, _hint(error.words, self._access)) from None


def _hint(words: str, access: GitAccess) -> str:
    text = words.lower()
    if "host key verification failed" in text:
        return "the host shows another key than known_hosts has for it"
    if access.environment:
        forwarded = any(name == "SSH_AUTH_SOCK" for name, _ in access.environment)
        return "" if forwarded else "forward an agent with --ssh default"
    if "terminal prompts disabled" in text or "authentication failed" in text or " 401" in text or " 403" in text:
        return "if it is not public, give --secret id=GIT_AUTH_TOKEN"
    return "check the URL" if "not found" in text or "not appear to be a git" in text else ""
