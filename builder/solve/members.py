"""What a selection holds as members of a listing: all that stands in its digest, in the order of the paths."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from builder.layer.entry import Entry, Kind
from builder.layer.tree import Tree
from builder.solve.select import Selected
from builder.source.sourcetree import SourceTree
from builder.trace.listing import DIGEST_SIZE, Member, order


def members(tree: Tree, selected: list[Selected], hashes: dict[bytes, str]) -> Iterator[Member]:
    """hashes: of files in a tree that does not remember them itself."""
    entries = selected[0].members if len(selected) == 1 else _merged(selected)
    for entry in entries:
        has_bytes = entry.kind in (Kind.FILE, Kind.HARDLINK)
        yield Member(
            path=entry.path,
            kind=entry.kind.value,
            mode=entry.mode,
            digest=_digest(tree, entry, hashes) if has_bytes else b"",
            link=entry.link,
            other=_other(entry),
        )


def _merged(selected: list[Selected]) -> list[Entry]:
    """Of several sources, what is in more than one of them once."""
    found = {entry.path: entry for one in selected for entry in one.members}
    return [found[path] for path in sorted(found, key=order)]


def _digest(tree: Tree, entry: Entry, hashes: dict[bytes, str]) -> bytes:
    known = tree.measured(entry.path) if isinstance(tree, SourceTree) else hashes.get(entry.path, "")
    return bytes.fromhex(known)[:DIGEST_SIZE]


def _other(entry: Entry) -> bytes:
    if not (entry.xattrs or entry.uid or entry.gid or entry.device != (0, 0)):
        return b""
    text = repr((entry.xattrs, entry.uid, entry.gid, entry.device)).encode()
    return hashlib.sha256(text).digest()[:DIGEST_SIZE]
