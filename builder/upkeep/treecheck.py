"""Whether an unpacked layer still is what its blob says: every file's bytes, kind, mode and owner.

Marks of deletion, device nodes and dates are not looked at: which of them a tree has depends on what lay below it, and
on who unpacked it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from builder.layer.entry import Content, Entry, Item, Kind
from builder.snapshot.folderlayer import FolderLayer
from builder.snapshot.tree import Found

_LOOKED_AT = frozenset({Kind.FILE, Kind.DIR, Kind.SYMLINK, Kind.HARDLINK, Kind.FIFO})
_CHUNK = 1 << 20


def difference(folder: str, items: Iterable[Item], *, userxattr: bool, owners: bool) -> str:
    """The first thing in which a tree is otherwise than the layer's members, "" if there is none.

    items: is read to its end. userxattr: see whiteout.opaque_xattr. owners: whether they could be kept.
    """
    layer = FolderLayer(folder, userxattr)
    known: dict[bytes, tuple[Kind, str]] = {}  # what comes twice is what it is the second time
    for entry, content in items:
        if not entry.path or entry.kind not in _LOOKED_AT:
            continue
        before = known.get(entry.path)
        if before is not None and before[0] is Kind.DIR and entry.kind is not Kind.DIR:
            for path in [path for path in known if path.startswith(entry.path + b"/")]:
                del known[path]
        known[entry.path] = entry.kind, _problem(layer, entry, content, owners)
    for path, (_, problem) in known.items():
        if problem:
            return f"{os.fsdecode(path)!r} {problem}"
    return _added(layer, known)


def _problem(layer: FolderLayer, entry: Entry, content: Content | None, owners: bool) -> str:
    found = layer.lookup(entry.path)
    if found is None or found.entry.kind is Kind.WHITEOUT:
        return "is missing"
    have = found.entry
    if entry.kind is Kind.HARDLINK:
        return "" if _is_same(found, layer.lookup(entry.link)) else f"is no longer {os.fsdecode(entry.link)!r}"
    if have.kind is not entry.kind:
        return f"is a {have.kind.value}, not a {entry.kind.value}"
    if have.link != entry.link:
        return "leads elsewhere"
    if have.mode != entry.mode and entry.kind is not Kind.SYMLINK:
        return f"has mode {have.mode:04o}, not {entry.mode:04o}"
    if owners and (have.uid, have.gid) != (entry.uid, entry.gid):
        return f"belongs to {have.uid}:{have.gid}, not {entry.uid}:{entry.gid}"
    if entry.kind is Kind.FILE and (have.size != entry.size or not _has_bytes(layer, entry.path, content)):
        return "has other bytes"
    return ""


def _is_same(one: Found, other: Found | None) -> bool:
    return other is not None and one.inode is not None and one.inode == other.inode


def _has_bytes(layer: FolderLayer, path: bytes, content: Content | None) -> bool:
    fd = layer.open(path)
    try:
        for data in content.chunks() if content is not None else ():
            rest = memoryview(data)
            while rest:
                read = os.read(fd, min(len(rest), _CHUNK))
                if not read or read != rest[: len(read)]:
                    return False
                rest = rest[len(read) :]
        return not os.read(fd, 1)
    finally:
        os.close(fd)


def _added(layer: FolderLayer, known: dict[bytes, tuple[Kind, str]]) -> str:
    todo = [b""]
    while todo:
        folder = todo.pop()
        for name in layer.names(folder):
            path = folder + b"/" + name if folder else name
            found = layer.lookup(path)
            if found is None or (found.entry.kind not in _LOOKED_AT):
                continue
            if found.entry.kind is Kind.DIR:
                todo.append(path)
            elif path not in known:
                return f"{os.fsdecode(path)!r} was added"
    return ""
