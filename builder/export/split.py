"""Trees of several platforms as one: each in a folder of its own (`linux_amd64`), or, on request, all in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import fsdecode

from msgspec.structs import replace

from builder.errors import OutputFault
from builder.export.exporter import Part, TreeSource
from builder.layer.entry import Entry, Item, Kind

_ROOT = Entry(path=b"", kind=Kind.DIR, mode=0o755)


def one_tree(parts: Sequence[Part], split: bool) -> TreeSource:
    """split: with a folder for each platform. Raises OutputFault where trees that are not split have a file twice."""
    if split:
        return lambda: _folders(parts)
    return parts[0].tree if len(parts) == 1 else lambda: _merged(parts)


def _folders(parts: Sequence[Part]) -> Iterator[Item]:
    yield _ROOT, None
    for folder, part in sorted((part.platform.full.replace("/", "_").encode(), part) for part in parts):
        yield replace(_ROOT, path=folder), None
        for entry, content in part.tree():
            if entry.path:
                link = folder + b"/" + entry.link if entry.kind is Kind.HARDLINK else entry.link
                yield replace(entry, path=folder + b"/" + entry.path, link=link), content


def _merged(parts: Sequence[Part]) -> Iterator[Item]:
    """The trees one after the other; folders may be in several of them."""
    seen: dict[bytes, str] = {}
    for part in parts:
        for entry, content in part.tree():
            before = seen.get(entry.path)
            if before is not None and entry.kind is not Kind.DIR:
                raise OutputFault(
                    f"cannot overwrite {fsdecode(entry.path)} from {before} with {part.platform.full} "
                    "when split option is disabled",
                    "leave out platform-split=false",
                )
            if before is None or entry.path:
                yield entry, content
            seen.setdefault(entry.path, part.platform.full)
