"""Tree: a file system that is only read, however it is kept: a folder of the client, layers on disk, lists of entries.

Paths are bytes relative to the root, without leading or trailing slash; b"" is the root.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from builder.errors import LayerFault
from builder.layer.entry import Content, Entry, Kind

_LINK_LIMIT = 255  # what BuildKit allows; the kernel stops at 40 (path_resolution(7))


class Members(Protocol):
    """As much of a tree as following links needs."""

    def lookup(self, path: bytes) -> Entry | None:
        """The member at a path whose parents are folders, not links; None where there is none. Like lstat."""
        ...


class Tree(Members, Protocol):
    """Paths are relative to the root, b"" for the root itself, without a slash at either end."""

    def names(self, path: bytes) -> list[bytes]:
        """The names in a folder, in byte order."""
        ...

    def walk(self, path: bytes) -> Iterator[Entry]:
        """All members below a folder, not itself, parents first, in byte order of their names.

        A second name of a file is a HARDLINK to the first, its link a path from the tree's root and its size that
        of the file.
        """
        ...

    def content(self, path: bytes) -> Content:
        """The bytes of the file at a path whose parents are folders."""
        ...


def resolve(tree: Members, path: bytes, *, follow_last: bool = True) -> bytes:
    """Follow links inside the root, `..` stopping there; what does not exist is kept as written.

    Raises LayerFault where links go round in a circle.
    """
    todo = [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]
    done: list[bytes] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == b"..":
            del done[-1:]
            continue
        done.append(part)
        if not todo and not follow_last:
            break
        entry = tree.lookup(b"/".join(done))
        if entry is None or entry.kind is not Kind.SYMLINK:
            continue
        links += 1
        if links > _LINK_LIMIT:
            raise LayerFault(f"too many symbolic links in /{path.decode(errors='replace')}")
        done = [] if entry.link.startswith(b"/") else done[:-1]
        todo.extend(p for p in reversed(entry.link.split(b"/")) if p not in (b"", b"."))
    return b"/".join(done)
