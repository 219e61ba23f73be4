"""Paths inside a root folder: links are followed as if the root were `/`, and nothing leads out of it."""

from __future__ import annotations

import os
import stat

from builder.errors import LayerFault
from builder.layer.entry import shown
from builder.layer.opendirs import OpenDirs

MAX_LINKS = 255


def resolve(root_fd: int, path: bytes, follow_last: bool = True) -> tuple[int, bytes]:
    """(descriptor of the parent folder, last name) of a path; the caller closes the descriptor.

    Absolute links start again at the root and `..` stops there. The last name need not exist; it is b"." for the root
    itself. follow_last: also resolve a link in the last place. Raises LayerFault after 255 links, and
    FileNotFoundError or NotADirectoryError where a parent is missing or not a folder.
    """
    todo = [part for part in reversed(path.split(b"/")) if part]
    done: list[bytes] = []
    links = 0
    with OpenDirs(root_fd) as dirs:
        while todo:
            name = todo.pop()
            if name == b"..":
                del done[-1:]
                continue
            if name == b".":
                continue
            parent = dirs.fd(b"/".join(done))
            last = not todo
            if not (last and not follow_last):
                text = _link(parent, name, last)
                if text is not None:
                    links += 1
                    if links > MAX_LINKS:
                        raise LayerFault(f"too many links on the way to {shown(path)}")
                    if text.startswith(b"/"):
                        done.clear()
                    todo += [part for part in reversed(text.split(b"/")) if part]
                    continue
            done.append(name)
        if not done:
            return os.dup(dirs.fd(b"")), b"."
        return os.dup(dirs.fd(b"/".join(done[:-1]))), done[-1]


def _link(parent: int, name: bytes, last: bool) -> bytes | None:
    """The text of a link; None for anything else, and for a last name that does not exist."""
    try:
        st = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        if last:
            return None
        raise
    return os.readlink(name, dir_fd=parent) if stat.S_ISLNK(st.st_mode) else None
