"""GitRef: how a Dockerfile or a command line names something in a git repository.

Rules: BuildKit's util/gitutil (which texts are git URLs) and frontend/dockerfile/dfgitutil (fragment and query).
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from builder.errors import SourceFault
from builder.graph.operation import GitSource
from builder.oci.boolean import parse_bool

_SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
_SCP = re.compile(r"([a-zA-Z0-9_-]+)@([a-zA-Z0-9.-]+):([^?#\n]*)(?:\?([^#\n]*))?(?:#(.*))?\Z")
_GITHUB = "github.com/"
_SCHEMES = frozenset({"http", "https", "ssh", "git"})
_MAY_BE_EMPTY = ("submodules", "keep-git-dir", "fetch-by-commit")


class GitRef(msgspec.Struct, frozen=True, kw_only=True):
    """remote: the URL for git, without fragment and query. ref: branch, tag, commit, or "" for HEAD.

    subdir: relative, may be "". checksum: the commit it must be, may be shortened. keep_git_dir, submodules: None
    where not said. mtime: "", checkout or commit. like_a_path: `github.com/o/r`, which could be a folder as well.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    mtime: str = ""
    fetch_by_commit: bool = False
    like_a_path: bool = False

    def source(self, *, keep: bool | None = None, checksum: str = "") -> GitSource:
        """The operation that reads it. keep, checksum: of flags, where the reference does not say it itself."""
        return GitSource(
            remote=self.remote,
            ref=self.ref,
            subdir=self.subdir,
            checksum=self.checksum or checksum,
            keep_git_dir=bool(keep if self.keep_git_dir is None else self.keep_git_dir),
            submodules=self.submodules is not False,
            mtime="" if self.mtime == "checkout" else self.mtime,
            fetch_by_commit=self.fetch_by_commit,
        )


def parse_git_ref(text: str) -> GitRef | None:
    """None where the text names no git repository; SourceFault where it does, in a form that cannot be meant."""
    if text.startswith(("./", "../")):
        return None
    if text.startswith(_GITHUB):
        found = _parse_url("https://" + text)
        return None if found is None else msgspec.structs.replace(found, like_a_path=True)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        if scheme[1].lower() not in _SCHEMES:
            return None
        return _parse_url(text, dot_git=scheme[1].lower() in ("http", "https"))
    scp = _SCP.match(text)
    if scp is None:
        return None
    user, host, path, query, fragment = scp.groups("")
    return _with_options(f"{user}@{host}:{path}", query, fragment)


def _parse_url(text: str, dot_git: bool = False) -> GitRef | None:
    """dot_git: whether only a path that ends in .git is a repository's."""
    from urllib.parse import unquote, urlsplit, urlunsplit

    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  (checked when asked for)
    except ValueError:
        return None
    if dot_git and not unquote(parts.path).endswith(".git"):
        return None
    remote = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return _with_options(remote, parts.query, unquote(parts.fragment))


def _with_options(remote: str, query: str, fragment: str) -> GitRef:
    ref, _, subdir = fragment.partition(":")
    found = GitRef(remote=remote, ref=ref, subdir=_relative(subdir))
    fields = _fields(query)
    names = {"tag": "", "branch": ""}
    for key, value in fields.items():
        if key in names:
            names[key] = value
        else:
            found = _with_field(found, key, value)
    if names["tag"] and names["branch"]:
        raise SourceFault("branch conflicts with tag")
    for key, prefix in (("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if names[key]:
            found = _with_ref(found, prefix + names[key].removeprefix(prefix))
    return found


def _fields(query: str) -> dict[str, str]:
    from urllib.parse import parse_qsl

    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in found:
            raise SourceFault(f'query "{key}" has multiple values')
        if not value and key not in _MAY_BE_EMPTY:
            raise SourceFault(f'query "{key}" has no value')
        found[key] = value
    return found


def _with_field(found: GitRef, key: str, value: str) -> GitRef:
    replace = msgspec.structs.replace
    if key == "ref":
        return _with_ref(found, value)
    if key == "subdir":
        if found.subdir not in ("", value):
            raise SourceFault(f'subdir conflicts: "{found.subdir}" vs "{value}"')
        return replace(found, subdir=_relative(value))
    if key in ("checksum", "commit"):
        return replace(found, checksum=value)
    if key == "mtime":
        if value not in ("checkout", "commit"):
            raise SourceFault(f'invalid mtime value: "{value}" (must be "checkout" or "commit")')
        return replace(found, mtime=value)
    if key in _MAY_BE_EMPTY:
        on = parse_bool(value or "true")
        if on is None:
            raise SourceFault(f'invalid {key} value: "{value}"')
        return replace(found, **{key.replace("-", "_"): on})
    raise SourceFault(
        f'unexpected query "{key}"', "known: ref, tag, branch, subdir, checksum, keep-git-dir, submodules"
    )


def _with_ref(found: GitRef, ref: str) -> GitRef:
    if found.ref not in ("", ref):
        raise SourceFault(f'ref conflicts: "{found.ref}" vs "{ref}"')
    return msgspec.structs.replace(found, ref=ref)


def _relative(path: str) -> str:
    """Go's path.Join("/", path) without the slash: cannot leave the repository."""
    return posixpath.normpath("/" + path).lstrip("/")


def redacted(url: str) -> str:
    """A URL as people may see it: a password in it is starred out."""
    head, found, rest = url.partition("://")
    user, at, host = rest.partition("/")[0].rpartition("@")
    if not found or not at or ":" not in user:
        return url
    return f"{head}://{user.partition(':')[0]}:xxxxx@{host}{rest[len(user) + 1 + len(host) :]}"
