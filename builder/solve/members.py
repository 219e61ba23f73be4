"""What a selection holds as members of a listing: all that stands in its digest, in the order of the paths."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from builder.layer.entry import Entry, Kind
from builder.layer.tree import Tree
from builder.solve.select import Selected
from builder.source.sourcetree import SourceTree
from builder.trace.listing import DIGEST_SIZE, Member, order

_NO_DEVICE = (0, 0)
_WORDS = {kind: kind.value for kind in Kind}


def members(tree: Tree, selected: list[Selected], hashes: dict[bytes, str]) -> Iterator[Member]:
    """hashes: of files in a tree that does not remember them itself."""
    digest_of = tree.measured if isinstance(tree, SourceTree) else hashes.__getitem__
    for entry in selected[0].members if len(selected) == 1 else _merged(selected):
        kind, digest, other = entry.kind, b"", b""
        if kind is Kind.FILE or kind is Kind.HARDLINK:
            digest = bytes.fromhex(digest_of(entry.path)[: 2 * DIGEST_SIZE])
        if entry.xattrs or entry.uid or entry.gid or entry.device != _NO_DEVICE:
            other = _other(entry)
        yield Member(entry.path, _WORDS[kind], entry.mode, digest, entry.link, other)


def _merged(selected: list[Selected]) -> list[Entry]:
    """Of several sources, what is in more than one of them once."""
    found = {entry.path: entry for one in selected for entry in one.members}
    return [found[path] for path in sorted(found, key=order)]


def _other(entry: Entry) -> bytes:
    text = repr((entry.xattrs, entry.uid, entry.gid, entry.device)).encode()
    return hashlib.sha256(text).digest()[:DIGEST_SIZE]
