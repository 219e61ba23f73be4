"""What the source words of a COPY select in a tree, and the digest of it that stands in the step's key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

import msgspec

from builder.errors import SourceFault
from builder.graph.gostring import quote
from builder.graph.operation import Selection
from builder.layer.entry import Entry, Kind
from builder.layer.tree import Tree, resolve
from builder.solve.parents import PIVOT, is_pattern, with_parents
from builder.source.ignore import Ignore
from builder.source.pattern import match_wildcard
from cache.digest import Digest

_WORDS = {kind: kind.value.encode() for kind in Kind}
SELECTION_VERSION = b"lapstrake-selection-1\n"  # decides keys: a change of the form below needs a new number


class Selected(msgspec.Struct, frozen=True):
    """One source: a folder's contents, or one other member.

    root: resolved path in its tree. name: its base name as it was written. is_dir: whether members are what is
    below root; else members is the one entry. members: entries with paths from the tree's root, parents first.
    unpack: as in the selection.
    """

    root: bytes
    name: bytes
    is_dir: bool
    members: tuple[Entry, ...]
    unpack: bool = False

    def below(self, path: bytes) -> bytes:
        """The path of a member relative to root."""
        return path[len(self.root) + 1 :] if self.root else path


def select(tree: Tree, selection: Selection, exclude: tuple[str, ...]) -> list[Selected]:
    """Find the sources, in name order; none for a wildcard that matches nothing.

    Raises SourceFault where a plain path does not exist.
    """
    ignore = Ignore(exclude) if exclude else None
    text, pivot, pattern = selection.path.partition(PIVOT)
    path = os.fsencode(text).strip(b"/")
    matches = _expand(tree, path) if selection.wildcard and is_pattern(text) else None
    paths = [path] if matches is None else matches
    if matches == [] and not pivot:
        _check_prefix(tree, path)
    if pivot:
        return [_select_with_parents(tree, path, pattern, ignore) for path in paths]
    return [_select_one(tree, path, ignore, selection.unpack) for path in paths]


def _select_with_parents(tree: Tree, path: bytes, pattern: str, ignore: Ignore | None) -> Selected:
    real = resolve(tree, path)
    entry = tree.lookup(real)
    members = None if entry is None or entry.kind is not Kind.DIR else with_parents(tree, real, pattern)
    if members is None:
        raise _not_found(os.path.join(path, os.fsencode(pattern)))
    return Selected(real, b"", True, tuple(_without(members, real, ignore) if ignore is not None else members))


def _not_found(path: bytes) -> SourceFault:
    shown = quote("/" + path.decode(errors="surrogateescape"))
    return SourceFault(
        f"failed to compute cache key: failed to calculate checksum of ref: {shown}: not found",
        "the path is relative to the build context, and .dockerignore may exclude it",
    )


def _select_one(tree: Tree, path: bytes, ignore: Ignore | None, unpack: bool) -> Selected:
    """ignore: for what a folder holds: --exclude never takes away what is a source itself (BuildKit: fsutil's copy)."""
    real = resolve(tree, path)
    entry = tree.lookup(real)
    name = path.rpartition(b"/")[2]
    if entry is None:
        raise _not_found(path)
    if entry.kind is not Kind.DIR:
        return Selected(real, name, False, (entry,), unpack)
    members = tree.walk(real)
    if ignore is not None:
        members = _without(members, real, ignore)
    return Selected(real, name, True, tuple(members))


def _without(members: Iterator[Entry], root: bytes, ignore: Ignore) -> Iterator[Entry]:
    """Drop what is excluded; a folder stays if something below it does."""
    held: list[Entry] = []  # excluded folders, outermost first, that are shown once something below them is
    skip = len(root) + 1 if root else 0
    for entry in members:
        while held and not entry.path.startswith(held[-1].path + b"/"):
            held.pop()
        if ignore.excluded(os.fsdecode(entry.path[skip:])):
            if entry.kind is Kind.DIR:
                held.append(entry)
            continue
        yield from held
        held.clear()
        yield entry


def _expand(tree: Tree, pattern: bytes) -> list[bytes]:
    """Paths that match a pattern of Go's filepath.Match, one segment at a time."""
    found = [b""]
    for part in pattern.split(b"/"):
        below: list[bytes] = []
        for folder in found:
            entry = tree.lookup(real := resolve(tree, folder))
            if entry is None or entry.kind is not Kind.DIR:
                continue
            prefix = folder + b"/" if folder else b""
            text = os.fsdecode(part)
            below += [prefix + name for name in tree.names(real) if match_wildcard(text, os.fsdecode(name))]
        found = below
    return found


def _check_prefix(tree: Tree, pattern: bytes) -> None:
    """SourceFault where what stands before the first wildcard is missing (fsutil's ResolveWildcards walks it)."""
    parts = pattern.split(b"/")
    plain = parts[: next(at for at, part in enumerate(parts) if is_pattern(os.fsdecode(part)))]
    real = resolve(tree, b"/".join(plain))
    if real and tree.lookup(real) is None:
        shown = real.decode(errors="backslashreplace")
        raise SourceFault(
            f"lstat /{shown}: no such file or directory",
            "a wildcard may match nothing, but only in a folder that is there",
        )


def selection_digest(selected: list[Selected], file_digest: Callable[[Entry], str]) -> Digest:
    """A digest over all that a copy takes from its sources: names, kinds, modes, owners, links, xattrs and bytes.

    Not in it: times, inodes, the name of a folder whose contents are taken. file_digest: hex sha256 of a file.
    """
    hasher = hashlib.sha256(SELECTION_VERSION)
    update = hasher.update
    for one in selected:
        update(b"dir\n" if one.is_dir else b"member %d %s\n" % (len(one.name), one.name))
        for entry in one.members:
            path = one.below(entry.path) if one.is_dir else b""
            kind = entry.kind
            update(b"%d %s\0%s %o %d %d " % (len(path), path, _WORDS[kind], entry.mode, entry.uid, entry.gid))
            if kind is Kind.FILE:
                update(file_digest(entry).encode())
            elif kind is Kind.HARDLINK:
                target = one.below(entry.link) if one.is_dir else b""
                update(b"%d %s %s" % (len(target), target, file_digest(entry).encode()))
            elif kind is Kind.SYMLINK:
                update(b"%d %s" % (len(entry.link), entry.link))
            else:
                update(b"%d:%d" % entry.device)
            for name, value in entry.xattrs:
                update(b"\0%d %s=%d %s" % (len(name), name, len(value), value))
            update(b"\n")
    return Digest(hasher.hexdigest())
