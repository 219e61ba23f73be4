"""WORKDIR: the folders that it makes, as the item stream of one layer."""

from __future__ import annotations

import os
from collections.abc import Iterator

from builder.errors import SourceFault
from builder.graph.operation import MakeDir
from builder.layer.entry import Entry, Item, Kind
from builder.layer.tree import Tree, resolve
from builder.solve.owner import owner


def make_folders(base: Tree, operation: MakeDir, mtime: int) -> Iterator[Item]:
    """The folder and its missing parents, 0755 and owned by the user; nothing if it is there already."""
    path = resolve(base, os.fsencode(operation.path))
    if base.lookup(path) is not None or not path:
        existing = base.lookup(path)
        if existing is not None and existing.kind is not Kind.DIR:
            raise SourceFault(f"mkdir {operation.path}: not a directory")
        return
    uid, gid = owner(base, operation.user, lambda text: None)
    done: list[bytes] = []
    for part in path.split(b"/"):
        done.append(part)
        here = b"/".join(done)
        existing = base.lookup(here)
        if existing is not None and existing.kind is not Kind.DIR:
            raise SourceFault(f"mkdir {operation.path}: not a directory")
        yield existing or Entry(path=here, kind=Kind.DIR, mode=0o755, uid=uid, gid=gid, mtime=mtime), None
