"""ListedLayer: a layer known by its entries alone: packed straight from its source, or not yet unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from builder.errors import LayerFault
from builder.layer.entry import Content, Entry, Kind
from builder.snapshot.tree import Found


class ListedLayer:
    """entries: the layer's members in stream order. open_content(path): the bytes of one of its FILEs."""

    def __init__(self, entries: Iterable[Entry], open_content: Callable[[bytes], Content]) -> None:
        self._open = open_content
        self._entries: dict[bytes, Entry] = {}
        self._opaque: set[bytes] = set()
        self._renewed: set[bytes] = set()  # of those, folders that were deleted, and made by what is in them
        self._names: dict[bytes, set[bytes]] = {}
        self._linked: dict[bytes, bytes] = {}  # every name of a file with several -> the first
        for entry in entries:
            self._add(entry)

    def lookup(self, path: bytes) -> Found | None:
        opaque = path in self._opaque
        entry = self._entries.get(path)
        if entry is None:
            if path in self._names or opaque:
                implied = path not in self._renewed
                return Found(Entry(path=path, kind=Kind.DIR, mode=0o755), opaque=opaque, implied=implied)
            return None
        first = self._linked.get(path)
        if entry.kind is Kind.HARDLINK and first is not None:
            entry = replace(self._entries[first], path=path)
        return Found(entry, opaque=opaque, inode=first)

    def names(self, path: bytes) -> Iterable[bytes]:
        return self._names.get(path, ())

    def content(self, path: bytes) -> Content:
        return self._open(self._linked.get(path, path))

    def _add(self, entry: Entry) -> None:
        path = entry.path
        before = self._entries.get(path)
        if entry.kind is Kind.OPAQUE:
            if before is not None and before.kind is Kind.WHITEOUT:
                self._renew(path)
            self._opaque.add(path)
            self._name(path)
            return
        if entry.kind is Kind.WHITEOUT and (before is not None or path in self._names):
            # A mark deletes only what is below, never what its own layer writes.
            self._renew(path)
            return
        if before is not None and before.kind is Kind.WHITEOUT:
            self._opaque.add(path)
        if path in self._linked:
            self._part(path)
        if entry.kind is not Kind.DIR and path in self._names:
            self._forget(path + b"/")
            del self._names[path]
        if entry.kind is Kind.HARDLINK:
            target = self._linked.get(entry.link, entry.link)
            if path == entry.link or target not in self._entries or self._entries[target].kind is Kind.DIR:
                raise LayerFault(f"hard link {path!r} points to {entry.link!r}, which is not in its layer")
            self._linked[target] = self._linked[path] = target
        self._entries[path] = entry
        self._name(path)

    def _forget(self, beneath: bytes) -> None:
        """A folder becomes something else: what this layer wrote there is gone."""
        for path in [name for name in self._linked if name.startswith(beneath)]:
            self._part(path)
        for path in [name for name in self._entries if name.startswith(beneath)]:
            del self._entries[path]
        for path in [name for name in self._names if name.startswith(beneath)]:
            del self._names[path]

    def _part(self, path: bytes) -> None:
        """A name of a file with several is about to become something else; the others stay."""
        first = self._linked.pop(path)
        rest = [name for name, at in self._linked.items() if at == first == path]
        for name in rest:
            self._linked[name] = rest[0]
        if rest:
            self._entries[rest[0]] = replace(self._entries[path], path=rest[0])

    def _name(self, path: bytes) -> None:
        while path:
            parent, _, name = path.rpartition(b"/")
            names = self._names.setdefault(parent, set())
            if name in names:
                return
            names.add(name)
            above = self._entries.get(parent)
            if above is not None and above.kind not in (Kind.DIR, Kind.WHITEOUT):
                raise LayerFault(f"{path!r} lies beneath {parent!r}, which this layer made a non-folder")
            if above is not None and above.kind is Kind.WHITEOUT:
                self._renew(parent)
            path = parent

    def _renew(self, path: bytes) -> None:
        """A folder is made where the layer deletes what is below."""
        if path in self._entries and self._entries[path].kind is Kind.WHITEOUT:
            del self._entries[path]
        self._opaque.add(path)
        self._renewed.add(path)
