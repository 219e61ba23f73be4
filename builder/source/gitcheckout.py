"""Checking out: the files of one commit in a folder, with those of its submodules, and a `.git` if it is asked for."""

from __future__ import annotations

import os
import posixpath
import stat
import urllib.parse
from collections.abc import Callable

import msgspec

from builder.errors import SourceFault
from builder.source.gitrepository import COMMIT, GitRepository, Resolved

_DEPTH = 10  # submodules of submodules
_MOST = 1000  # submodules of one repository

Open = Callable[[str], GitRepository]
"""The repository of a submodule's URL."""


class Submodule(msgspec.Struct, frozen=True):
    """path: in the tree. url: absolute. commit: that the tree names."""

    path: str
    url: str
    commit: str


def check_out(repository: GitRepository, commit: str, folder: str) -> None:
    """Write a commit's files into an empty folder; a git link is an empty folder. folder: absolute."""
    index = f"{folder}.index"
    try:
        repository.local(
            f"--work-tree={folder}", "read-tree", "--reset", "-u", commit,
            what=f"failed to checkout remote {repository.shown}", environment={"GIT_INDEX_FILE": index},
        )  # fmt: skip
    finally:
        if os.path.exists(index):
            os.unlink(index)


def fill_submodules(repository: GitRepository, remote: str, commit: str, folder: str, open_: Open) -> None:
    """Fetch and check out what the git links of a commit name, and theirs."""
    todo = [(repository, remote, commit, folder, 0)]
    while todo:
        owner, base, commit, into, depth = todo.pop()
        for module in submodules(owner, base, commit):
            if depth == _DEPTH:
                raise SourceFault(f"{owner.shown}: submodules go more than {_DEPTH} deep")
            place = _inner_folder(into, module.path, owner)
            inner = open_(module.url)
            inner.fetch(Resolved("", module.commit, module.commit))
            check_out(inner, module.commit, place)
            todo.append((inner, module.url, module.commit, place, depth + 1))


def submodules(repository: GitRepository, remote: str, commit: str) -> list[Submodule]:
    """What `.gitmodules` says of a commit's git links. SourceFault for a link that it does not know."""
    what = f"failed to update submodules for {repository.shown}"
    listing = repository.local("ls-tree", "-r", "-z", commit, what=what).split(b"\0")
    links = {}
    for line in listing:
        fields, _, name = line.partition(b"\t")
        if fields.startswith(b"160000 "):
            links[os.fsdecode(name)] = fields.split(b" ")[2].decode()
    if not links:
        return []
    if len(links) > _MOST:
        raise SourceFault(f"{what}: more than {_MOST} submodules")
    known = _gitmodules(repository, commit, what)
    found = []
    for path, target in sorted(links.items()):
        told = known.get(path, {})
        if told.get("update") == "none":
            continue
        if "url" not in told:
            raise SourceFault(f"{what}: No url found for submodule path '{path}' in .gitmodules")
        if not COMMIT.match(target):
            raise SourceFault(f"{what}: '{path}' is at no commit")
        found.append(Submodule(path, absolute(told["url"], remote), target))
    return found


def _gitmodules(repository: GitRepository, commit: str, what: str) -> dict[str, dict[str, str]]:
    """Fields of each submodule, by its path."""
    if not repository.local("ls-tree", commit, "--", ".gitmodules", what=what).startswith((b"100644", b"100755")):
        return {}
    out = repository.local("config", "--blob", f"{commit}:.gitmodules", "--null", "--list", what=what)
    modules: dict[str, dict[str, str]] = {}
    for line in os.fsdecode(out).split("\0"):
        key, _, value = line.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        if section == "submodule" and name:
            modules.setdefault(name, {})[field] = value
    return {fields["path"]: fields for fields in modules.values() if "path" in fields}


def absolute(url: str, remote: str) -> str:
    """A submodule's URL; `./x` and `../x` are beside the remote (gitmodules(5))."""
    if not url.startswith(("./", "../")):
        return url
    head, colon, path = remote.rpartition(":") if "://" not in remote else ("", "", "")
    if colon:
        return f"{head}:{_climbed(path, url)}"
    parts = urllib.parse.urlsplit(remote)
    return urllib.parse.urlunsplit(parts._replace(path=_climbed(parts.path, url)))


def _climbed(path: str, url: str) -> str:
    joined = posixpath.normpath(f"{path.rstrip('/')}/{url}")
    if joined.startswith(".."):
        raise SourceFault(f"cannot strip one component off url '{path}'")
    return joined


def keep_git_dir(repository: GitRepository, at: Resolved, folder: str) -> None:
    """Make `.git`: the one commit, HEAD on it, the ref that led there. The same input gives the same bytes."""
    git_dir = os.path.join(folder, ".git")
    what = f"failed to checkout remote {repository.shown}"
    form = "--object-format=sha256" if len(at.commit) == 64 else "--object-format=sha1"
    within = (f"--git-dir={git_dir}", f"--work-tree={folder}")

    def run(*words: str) -> None:
        repository.beside(*within, *words, what=what)

    repository.beside("init", "--quiet", "--template=", form, folder, what=what)
    alternates = os.path.join(git_dir, "objects", "info", "alternates")
    os.makedirs(os.path.dirname(alternates), exist_ok=True)
    _write(alternates, f"{repository.objects}\n")
    header = repository.local("cat-file", "commit", at.commit, what=what).partition(b"\n\n")[0]
    if b"\nparent " in header:
        _write(os.path.join(git_dir, "shallow"), f"{at.commit}\n")
    run("update-ref", "--no-deref", "HEAD", at.commit)
    _write(os.path.join(git_dir, "HEAD"), f"{at.commit}\n")
    if at.name:
        run("update-ref", at.name, at.object)
    run("repack", "-a", "-d", "-F", "-q")
    os.unlink(alternates)
    run("remote", "add", "origin", repository.shown)
    run("read-tree", "HEAD")  # an index without the times and inodes of this machine


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def inner(folder: str, path: str, shown: str) -> str:
    """A folder of a checkout, reached through folders alone. SourceFault for anything else."""
    at = folder
    for part in filter(None, path.split("/")):
        at = os.path.join(at, part)
        try:
            is_folder = stat.S_ISDIR(os.lstat(at).st_mode) and part not in (".", "..")
        except OSError as error:
            raise SourceFault(f"invalid subdir {path}: {shown} has no {path}", "name a folder of it") from error
        if not is_folder:
            raise SourceFault(f'invalid subdir {path}: git subpath "{path}" contains non-directory "{part}"')
    return at


def _inner_folder(folder: str, path: str, owner: GitRepository) -> str:
    place = inner(folder, path, owner.shown)
    if os.listdir(place):
        raise SourceFault(f"{owner.shown}: submodule '{path}' is not at an empty folder")
    return place
