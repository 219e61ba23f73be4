"""COPY and ADD: where each selected member lands, as the items of one layer (by the rules of BuildKit's file op)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from builder.errors import SourceFault
from builder.graph.operation import Copy, InlineFile
from builder.layer.entry import BytesContent, Content, Entry, Item, Kind
from builder.layer.limits import Limits
from builder.layer.tree import Tree, resolve
from builder.solve.emptytree import EmptyTree
from builder.solve.owner import owner
from builder.solve.placement import New, Placement
from builder.solve.select import Selected
from builder.solve.unpacking import Archive, extracted, is_archive

Source = tuple[Tree, Selected] | InlineFile


def place(
    base: Tree,
    operation: Copy,
    sources: list[Source],
    mtime: int,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[Item]:
    """The items of the layer that lays sources onto base. SourceFault where a file meets a folder, or for an owner.

    limits: of each archive that is extracted. warn: of an owner that base does not know.
    """
    ids = _owner(base, operation.chown, warn) if operation.chown else None
    placement = Placement(EmptyTree() if operation.link else base, operation, ids, mtime)
    archives = [_is_archive(source) for source in sources]
    for source, archive in zip(sources, archives, strict=True):
        new = (0o755, ids or (0, 0)) if archive else None  # --chmod is for what is copied
        dest, is_folder = destination(placement, os.fsencode(operation.dest), archive or _is_dir(source), new)
        if isinstance(source, InlineFile):
            data = source.data.encode("utf-8", "surrogateescape")
            entry = Entry(path=b"", kind=Kind.FILE, mode=0o644, mtime=mtime, size=len(data))
            target = _join(dest, os.fsencode(source.name)) if is_folder else dest
            placement.put_file(target, entry, BytesContent(data))
        elif archive:
            Archive(source[0], source[1].members[0].path, limits).plan(placement, dest, ids)
        else:
            _place_selected(placement, dest, is_folder, *source)
    return extracted(placement) if any(archives) else placement.items()


def _owner(base: Tree, chown: str, warn: Callable[[str], None]) -> tuple[int, int]:
    def unknown(text: str) -> None:
        if isinstance(base, EmptyTree):
            raise SourceFault(f"--chown={chown}: there is no image whose users this names", "write numbers")
        warn(f"--chown={chown}: {text}")

    return owner(base, chown, unknown)


def _is_dir(source: Source) -> bool:
    return not isinstance(source, InlineFile) and source[1].is_dir


def _is_archive(source: Source) -> bool:
    if isinstance(source, InlineFile) or not source[1].unpack or source[1].is_dir:
        return False
    return is_archive(source[0], source[1].members[0])


def destination(placement: Placement, written: bytes, wants_folder: bool, new: New | None = None) -> tuple[bytes, bool]:
    """The resolved destination of the next source, and whether it is a folder that things land in.

    Each source finds what those before it left: without a slash at its end, a new destination is the last file.
    """
    dest = resolve(placement, written)
    existing = placement.lookup(dest)
    is_folder = (
        wants_folder or written.endswith(b"/") or not dest or (existing is not None and existing.kind is Kind.DIR)
    )
    if is_folder:
        placement.make_dir(dest, new)
    return dest, is_folder


def _place_selected(placement: Placement, dest: bytes, is_folder: bool, tree: Tree, selected: Selected) -> None:
    if not selected.is_dir:
        entry = selected.members[0]
        target = _join(dest, selected.name) if is_folder else dest
        if entry.kind is Kind.DIR:
            placement.put_dir(target, entry)
        else:
            placement.put_file(target, entry, _content(tree, entry))
        return
    landed: dict[bytes, bytes] = {}  # where the first name of each file went
    for entry in selected.members:
        target = _join(dest, selected.below(entry.path))
        if entry.kind is Kind.DIR:
            placement.put_dir(target, entry)
            continue
        link = landed.get(entry.link, b"") if entry.kind is Kind.HARDLINK else b""
        placement.put_file(target, entry, None if link else _content(tree, entry), link)
        if entry.kind in (Kind.FILE, Kind.HARDLINK):
            landed.setdefault(entry.path, target)
            if entry.kind is Kind.HARDLINK and not link:
                landed[entry.link] = target


def _content(tree: Tree, entry: Entry) -> Content | None:
    return tree.content(entry.path) if entry.kind in (Kind.FILE, Kind.HARDLINK) else None


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
