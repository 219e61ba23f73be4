"""EmptyTree: the tree under a FROM scratch stage, and under a linked copy."""

from __future__ import annotations

from collections.abc import Iterator

from builder.errors import LayerFault
from builder.layer.entry import Content, Entry, Kind


class EmptyTree:
    """A Tree with nothing but its root."""

    def lookup(self, path: bytes) -> Entry | None:
        return Entry(path=b"", kind=Kind.DIR, mode=0o755) if not path else None

    def names(self, path: bytes) -> list[bytes]:
        return []

    def walk(self, path: bytes) -> Iterator[Entry]:
        return iter(())

    def content(self, path: bytes) -> Content:
        raise LayerFault(f"/{path.decode(errors='replace')} is not there")
