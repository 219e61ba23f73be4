"""Sources of ADD that lie elsewhere: URLs and git references (BuildKit's convert_copy.go)."""

from __future__ import annotations

import posixpath

from builder.graph.gitref import GitRef, parse_git_ref
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from cache.digest import Digest
from cache.errors import Fault
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import Add, Copy
from frontends.errors import LowerFault

_URL = ("http://", "https://")
_UNNAMED = "__unnamed__"
_NO_NAME = "download"


def remote_source(copy: Copy | Add, text: str, checksum: str) -> RemoteSource | None:
    """What a source word names, None for a path. Raises LowerFault in BuildKit's words."""
    found = _git_ref(text)
    if found is not None:
        if isinstance(copy, Copy):
            raise LowerFault("source can't be a git ref for COPY")
        return git_source(found, copy.keep_git_dir, checksum)
    if not text.startswith(_URL):
        return None
    if isinstance(copy, Copy):
        raise LowerFault("source can't be a URL for COPY")
    try:
        return HttpSource(url=text, name=file_name(text), checksum=str(Digest.parse(checksum)) if checksum else "")
    except Fault as error:
        raise LowerFault(error.message, error.hint) from None


def git_source(found: GitRef, keep: bool | None, checksum: str) -> GitSource:
    """The source of a reference, with what flags say beside it."""
    if keep is not None and found.keep_git_dir is not None and keep != found.keep_git_dir:
        raise LowerFault("inconsistent keep-git-dir configuration")
    if checksum and found.checksum and checksum != found.checksum:
        raise LowerFault(f"checksum mismatch {quote(checksum)} != {quote(found.checksum)}")
    return found.source(keep=keep, checksum=checksum)


def is_remote(text: str) -> bool:
    return _git_ref(text) is not None or text.startswith(_URL)


def file_name(url: str) -> str:
    """What a downloaded file is called: the end of the URL's path."""
    from urllib.parse import unquote, urlsplit

    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return _UNNAMED
    name = posixpath.basename(posixpath.normpath(path)) if path.strip("/") else ""
    if not name or name == ".":
        return _UNNAMED
    name = name.strip()
    bad = name in ("", ".", "..") or any(ord(ch) < 32 or 127 <= ord(ch) < 160 for ch in name)
    return _NO_NAME if bad else name


def _git_ref(text: str) -> GitRef | None:
    try:
        found = parse_git_ref(text)
    except Fault as error:
        raise LowerFault(error.message, error.hint) from None
    return None if found is None or found.like_a_path else found
