"""Marks of deletion, translated at the border: OCI names in archives, Kind.WHITEOUT and Kind.OPAQUE within.

OCI image-spec layer.md#whiteouts: `.wh.NAME` says that NAME was deleted, `.wh..wh..opq` that its folder hides what
is below. Kernel Documentation/filesystems/overlayfs.rst: a character device 0:0, and the extended attribute
trusted.overlay.opaque (user.overlay.opaque with the userxattr option) of value "y".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn

from builder.errors import LayerFault
from builder.layer.entry import Entry, Item, Kind, shown

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
_AUFS = b".wh..wh."  # .wh..wh.aufs, .wh..wh.plnk, .wh..wh.orph: left by old Docker engines, they mean nothing

DEVICE = (0, 0)
OPAQUE_VALUE = b"y"


def opaque_xattr(userxattr: bool) -> bytes:
    """The name of the attribute that makes a folder of an overlay layer opaque."""
    return b"user.overlay.opaque" if userxattr else b"trusted.overlay.opaque"


def inherited_xattr(userxattr: bool) -> bytes:
    """The name of the attribute, of our own, of a layer's folder whose root says nothing: the layer has no root."""
    return b"user.overlay.inherited" if userxattr else b"trusted.overlay.inherited"


def to_oci(entry: Entry) -> Entry:
    """A mark as the empty file that stands for it in an archive; other entries as they are.

    Raises LayerFault for a member that an archive would turn into a mark.
    """
    parent, slash, name = entry.path.rpartition(b"/")
    if entry.kind is Kind.WHITEOUT:
        return Entry(path=parent + slash + PREFIX + name, kind=Kind.FILE, mtime=entry.mtime)
    if entry.kind is Kind.OPAQUE:
        inside = entry.path + b"/" if entry.path else b""
        return Entry(path=inside + OPAQUE_NAME, kind=Kind.FILE, mtime=entry.mtime)
    if name.startswith(PREFIX):
        shown = entry.path.decode(errors="backslashreplace")
        raise LayerFault(
            f"/{shown} cannot be kept in an image layer: names that start with .wh. mean a deletion",
            "rename or remove the file in the same RUN step",
        )
    return entry


def from_oci(items: Iterable[Item]) -> Iterator[Item]:
    """The members of a layer's archive with its marks made explicit."""
    for entry, content in items:
        mark = _mark(entry)
        if mark is entry:
            yield entry, content
        elif mark is not None:
            yield mark, None


def _mark(entry: Entry) -> Entry | None:
    parent, slash, name = entry.path.rpartition(b"/")
    if entry.kind is Kind.CHAR and entry.device == DEVICE:
        # Some tools have saved overlay's own form; on disk it would act as a whiteout anyway.
        return Entry(path=entry.path, kind=Kind.WHITEOUT, mtime=entry.mtime)
    if not name.startswith(PREFIX):
        if slash and PREFIX in parent and any(part.startswith(PREFIX) for part in parent.split(b"/")):
            return None if _AUFS in parent else _refuse(entry.path)
        return entry
    if name == OPAQUE_NAME:
        return Entry(path=parent, kind=Kind.OPAQUE, mtime=entry.mtime)
    if name.startswith(_AUFS):
        return None
    target = name[len(PREFIX) :]
    if target in (b"", b".", b".."):
        _refuse(entry.path)
    return Entry(path=parent + slash + target, kind=Kind.WHITEOUT, mtime=entry.mtime)


def _refuse(path: bytes) -> NoReturn:
    raise LayerFault(f"layer has a whiteout that names nothing: {shown(path)}")
