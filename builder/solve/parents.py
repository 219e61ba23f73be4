"""COPY --parents: what a pattern names below a folder, with the folders that lead there.

As BuildKit copies with include patterns: the folder itself may be behind links, nothing below it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import takewhile

from builder.layer.entry import Entry, Kind
from builder.layer.tree import Tree
from builder.source.ignore import Ignore

PIVOT = "/./"
_WILDCARDS = frozenset("*?[\\")


def with_parents(tree: Tree, root: bytes, pattern: str) -> Iterator[Entry] | None:
    """Members below root that the pattern names, and their parents, parents first; None if a plain path is missing.

    root: resolved path of a folder. pattern: as in an ignore file, `**` stands for any number of segments.
    """
    segments = [part for part in pattern.split("/") if part]
    plain = list(takewhile(lambda part: not is_pattern(part), segments))
    start = root
    parents: list[Entry] = []
    for part in plain:
        start = _join(start, os.fsencode(part))
        entry = tree.lookup(start)
        if entry is None or (entry.kind is not Kind.DIR and len(parents) < len(segments) - 1):
            return None if len(plain) == len(segments) else iter(())
        parents.append(entry)
    if len(plain) == len(segments):
        return _all(tree, start, parents)
    return matching(tree.walk(start), root, Ignore((pattern,)), parents)


def is_pattern(text: str) -> bool:
    """Whether it may name something else than itself."""
    return bool(_WILDCARDS & set(text))


def matching(members: Iterator[Entry], root: bytes, include: Ignore, held: list[Entry]) -> Iterator[Entry]:
    """Members that match, or stand below one that does; a folder also if something below it does.

    held: folders above the members, outermost first, that are shown once something below them is.
    """
    skip = len(root) + 1 if root else 0
    held = list(held)
    for entry in members:
        while held and not entry.path.startswith(held[-1].path + b"/"):
            held.pop()
        if include.excluded(os.fsdecode(entry.path[skip:])):
            yield from held
            held.clear()
            yield entry
        elif entry.kind is Kind.DIR:
            held.append(entry)


def _all(tree: Tree, start: bytes, parents: list[Entry]) -> Iterator[Entry]:
    yield from parents
    if not parents or parents[-1].kind is Kind.DIR:
        yield from tree.walk(start)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
