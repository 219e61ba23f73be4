"""ADD: local archives among the sources are extracted; what is in them lands as BuildKit's file op would put it.

An archive is read twice: once for its member list, so that a name that comes twice counts once and links inside it
are followed inside the root, and once for the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from builder.errors import LayerFault
from builder.layer.entry import Content, Entry, Item, Kind, shown
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from builder.layer.tree import Tree, resolve
from builder.solve.placement import Placement
from builder.source.archivefile import ContentStream, looks_like_tar


class Archive:
    """A file that is a tar archive, plain or compressed, and where its members land. folder: resolved destination."""

    def __init__(self, tree: Tree, path: bytes, limits: Limits) -> None:
        self._limits = limits
        self._tree = tree
        self._path = path
        self._landed: list[bytes] = []

    def plan(self, placement: Placement, folder: bytes, ids: tuple[int, int] | None) -> None:
        """First reading: put every member's place; that of the archive's own root changes nothing (go-archive)."""
        for number, (entry, _) in enumerate(self._members()):
            parent, _, name = _clean(entry.path).rpartition(b"/")
            at = resolve(placement, folder + b"/" + parent)
            target = (at + b"/" + name if at else name) if name else b""
            self._landed.append(target)
            if not target:
                continue
            link = b""
            if entry.kind is Kind.HARDLINK:
                link = resolve(placement, folder + b"/" + _clean(entry.link), follow_last=False)
                if placement.own(link) is None:
                    raise LayerFault(
                        f"{self._name()}: {shown(entry.path)} is a hard link to {shown(entry.link)}, not there"
                    )
            placement.put_member(target, entry, link, ids, (self, number))

    def contents(self) -> Iterator[tuple[int, bytes, Content | None]]:
        """Second reading: (number, where it landed, bytes) of every member in archive order."""
        for number, ((_, content), target) in enumerate(zip(self._members(), self._landed, strict=True)):
            yield number, target, content

    def _members(self) -> Iterator[Item]:
        raw = ContentStream(self._tree.content(self._path))
        yield from open_archive(raw, self._limits, f"archive {self._name()}")

    def _name(self) -> str:
        return self._path.decode(errors="backslashreplace")


def is_archive(tree: Tree, entry: Entry) -> bool:
    """Whether a member is a file whose content is a tar archive."""
    return entry.kind in (Kind.FILE, Kind.HARDLINK) and looks_like_tar(tree.content(entry.path), entry.size)


def extracted(placement: Placement) -> Iterator[Item]:
    """The items of a placement that holds archive members: folders first, then files, then what is in archives."""
    archives: list[Archive] = []
    for entry, origin in placement.members():
        if isinstance(origin, tuple) and origin[0] not in archives:
            archives.append(origin[0])
        if entry.kind is Kind.DIR:
            yield entry, None
    for entry, origin in placement.members():
        if entry.kind is not Kind.DIR and not isinstance(origin, tuple):
            yield entry, origin
    for archive in archives:
        for number, target, content in archive.contents():
            mine = placement.own(target)
            if mine is not None and mine[0].kind is not Kind.DIR and mine[1] == (archive, number):
                yield mine[0], content


def _clean(path: bytes) -> bytes:
    """The path without empty and `.` parts, `..` stopping at the root."""
    done: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del done[-1:]
        elif part not in (b"", b"."):
            done.append(part)
    return b"/".join(done)
