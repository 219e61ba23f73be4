"""A tree whose members all have one date, as SOURCE_DATE_EPOCH wants the files of an output (BuildKit's local, tar)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from builder.export.exporter import TreeSource
from builder.layer.entry import Item


def dated(tree: TreeSource, epoch: int | None) -> TreeSource:
    """epoch: seconds since 1970; None for the dates that the members have."""
    return tree if epoch is None else lambda: _dated(tree, epoch)


def _dated(tree: TreeSource, epoch: int) -> Iterator[Item]:
    for entry, content in tree():
        yield replace(entry, mtime=epoch), content
