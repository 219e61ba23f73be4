"""Entry: one member of a tree, as it flows between contexts, trees on disk, archives and layers.

A stream of `Item` (entry and content) is how trees move: sources produce it in name order, sinks (the layer
packer, a tree on disk, an output folder) consume it once, in order.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Protocol

import msgspec


class Kind(enum.Enum):
    __hash__ = object.__hash__  # each is there once; Enum's own is a call of Python for each look into a table

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"  # link = path of an earlier member of the same stream
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"
    WHITEOUT = "whiteout"  # path was deleted (OCI layer.md#whiteouts); path is the plain name, without .wh.
    OPAQUE = "opaque"  # path is a directory that hides all of its lower siblings (OCI layer.md#opaque-whiteout)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One member. path: relative to the root, `/`-separated, no leading or trailing slash, b"" is the root itself."""

    path: bytes
    kind: Kind
    mode: int = 0  # permission bits, setuid, setgid, sticky: 0 to 0o7777
    uid: int = 0
    gid: int = 0
    mtime: int = 0  # whole seconds since 1970, may be negative
    size: int = 0  # bytes of content; FILE only
    link: bytes = b""  # SYMLINK: text of the link; HARDLINK: path
    device: tuple[int, int] = (0, 0)  # CHAR, BLOCK: major, minor
    xattrs: tuple[tuple[bytes, bytes], ...] = ()  # sorted by name


class Content(Protocol):
    """The bytes of a FILE, readable once."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB; closes what it opened, also when dropped half-way."""
        ...


class BytesContent:
    """Content that is already in memory (a heredoc, a whiteout's nothing)."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def chunks(self) -> Iterator[bytes]:
        if self._data:
            yield self._data


Item = tuple[Entry, Content | None]


def shown(name: bytes) -> str:
    """A path or link for a message: in quotes, nothing in it that a terminal obeys."""
    return repr(name.decode(errors="backslashreplace"))
