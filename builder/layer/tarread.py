"""A streaming reader of tar archives: ustar, pax, GNU (long names, base-256 numbers, sparse files) and old v7.

POSIX.1-2017 pax interchange format; GNU tar manual, "Basic Tar Format" and "Sparse Formats". Archives are hostile:
every number is checked, every length is bounded, and every fault names the member it was found at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn, Protocol

from builder.errors import GrowthFault, LayerFault
from builder.layer.entry import Entry, Item, Kind, shown
from builder.layer.limits import HINT, Limits
from builder.layer.sparse import HOLE, SparseMap, old_gnu_extents, parse_numbers, pax_map
from builder.layer.tarfields import (
    MalformedField,
    check_sum,
    device,
    mtime,
    number,
    owner,
    pax_number,
    records,
    ustar_name,
    xattrs,
)
from builder.layer.tarfmt import BLOCK

CHUNK = 1 << 20
_ZERO = bytes(BLOCK)
_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHAR,
    b"4": Kind.BLOCK,
    b"5": Kind.DIR,
    b"D": Kind.DIR,
    b"6": Kind.FIFO,
}
_EMPTY = (Kind.SYMLINK, Kind.CHAR, Kind.BLOCK, Kind.FIFO)


class Readable(Protocol):
    """What the reader needs of its input."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; b"" at the end only."""
        ...


class TarContent:
    """The bytes of the current member; what is not read is skipped when the next member is asked for."""

    def __init__(self, reader: TarReader, stored: int, sparse: SparseMap | None) -> None:
        self._reader, self._sparse = reader, sparse
        self.left = stored

    def chunks(self) -> Iterator[bytes]:
        if self._sparse is None:
            while self.left:
                yield self.take(min(self.left, CHUNK))
            return
        for hole, length in self._sparse.pieces():
            while length:
                step = min(length, CHUNK)
                yield HOLE[:step] if hole else self.take(step)
                length -= step

    def take(self, size: int) -> bytes:
        if size > self.left:
            self._reader.fault("has a sparse map larger than its data")
        data = self._reader.exactly(size)
        self.left -= size
        return data


class TarReader:
    """Iterate to get Items in archive order. A member's content is to be used before the next is asked for."""

    def __init__(
        self,
        stream: Readable,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        *,
        what: str = "tar archive",
    ) -> None:
        """what: what a fault about its size calls the archive."""
        self._what = what
        self._stream, self._limits = stream, limits
        self._global: dict[bytes, bytes] = {}
        self._name = b""
        self._count = 0
        self._size = 0

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                member = self._member()
            except MalformedField as problem:
                self.fault(str(problem))
            if member is None:
                break
            entry, content, stored = member
            if entry is not None:
                yield entry, content if entry.kind is Kind.FILE else None
            self._skip(content.left + -stored % BLOCK)
        # The rest is padding; it is read so that a check at the end of the stream gets to run.
        while self._next(CHUNK):
            pass

    def fault(self, problem: str) -> NoReturn:
        raise LayerFault(f"bad tar archive: {self._where()} {problem}")

    def _where(self) -> str:
        return f"member {shown(self._name)}" if self._name else f"member {self._count}"

    def _over(self, problem: str) -> NoReturn:
        raise LayerFault(f"{self._what} is too large: {self._where()} {problem}", HINT)

    def _next(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except GrowthFault as error:
            self._over(f"is where its {error.message}")

    def exactly(self, size: int) -> bytes:
        """`size` bytes, or a fault if the archive ends before."""
        data = self._next(size)
        if len(data) == size:
            return data
        parts = [data]
        size -= len(data)
        while size and data:
            data = self._next(size)
            parts.append(data)
            size -= len(data)
        if size:
            self.fault("is cut short")
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        while size:
            step = min(size, CHUNK)
            self.exactly(step)
            size -= step

    def _header(self) -> bytes | None:
        first = self._next(BLOCK)
        if not first:
            return None
        block = first if len(first) == BLOCK else first + self.exactly(BLOCK - len(first))
        if block == _ZERO:
            return None
        check_sum(block)
        return block

    def _member(self) -> tuple[Entry | None, TarContent, int] | None:
        """The next member with its own and its extended headers; None at the end of the archive."""
        local: dict[bytes, bytes] = {}
        offsets: list[bytes] = []
        self._name = b""
        while True:
            block = self._header()
            if block is None:
                if local:
                    self.fault("is announced by an extended header but missing")
                return None
            self._count += 1
            if self._count > self._limits.entries:
                self._over(f"is one more than the limit of {self._limits.entries}")
            kind = block[156:157]
            if kind not in b"xgLK":
                break
            size = number(block[124:136], "size")
            if size > self._limits.extended:
                self.fault(f"has an extended header of {size} bytes, more than {self._limits.extended}")
            body = self.exactly(size + -size % BLOCK)[:size]
            if kind in b"LK":
                local[b"path" if kind == b"L" else b"linkpath"] = body.rstrip(b"\0")
            else:
                records(body, local if kind == b"x" else self._global, offsets)
        return self._read(block, {**self._global, **local}, offsets)

    def _read(
        self, block: bytes, pax: dict[bytes, bytes], offsets: list[bytes]
    ) -> tuple[Entry | None, TarContent, int]:
        name = pax.get(b"GNU.sparse.name") or pax.get(b"path") or ustar_name(block)
        self._name = name[:256]
        code = block[156:157]
        if code == b"V":  # a volume label is not a member
            return None, TarContent(self, 0, None), 0
        kind = _KINDS.get(code)
        if kind is None:
            self.fault(f"is of unknown type {code!r}")
        if kind is Kind.FILE and name.endswith(b"/"):
            kind = Kind.DIR  # v7 had no type for folders
        path = self._path(name)
        stored = pax_number(pax, b"size", number(block[124:136], "size"))
        # Some writers give links and devices a size without data behind it; for links and folders data may follow.
        stored = 0 if kind in _EMPTY or (kind is Kind.HARDLINK and b"size" not in pax) else stored
        sparse, used = self._sparse(block, pax, offsets, stored) if kind is Kind.FILE else (None, 0)
        size = sparse.size if sparse else stored
        self._size += size if kind is Kind.FILE else stored
        if self._size > self._limits.size:
            self._over(f"makes it larger than {self._limits.size} bytes")
        link = pax.get(b"linkpath", block[157:257].partition(b"\0")[0])
        if b"\0" in link or len(link) > self._limits.path or (kind is Kind.SYMLINK and not link):
            self.fault("has an invalid link")
        entry = Entry(
            path=path,
            kind=kind,
            mode=number(block[100:108], "mode") & 0o7777,
            uid=owner(pax, b"uid", block[108:116]),
            gid=owner(pax, b"gid", block[116:124]),
            mtime=mtime(pax, block),
            size=size if kind is Kind.FILE else 0,
            link=self._path(link) if kind is Kind.HARDLINK else link if kind is Kind.SYMLINK else b"",
            device=device(block) if kind in (Kind.CHAR, Kind.BLOCK) else (0, 0),
            xattrs=xattrs(pax),
        )
        return entry, TarContent(self, stored - used, sparse), stored

    def _sparse(
        self, block: bytes, pax: dict[bytes, bytes], offsets: list[bytes], stored: int
    ) -> tuple[SparseMap | None, int]:
        """The member's map, and how many stored bytes were the map itself."""
        used = 0

        def more() -> bytes:
            nonlocal used
            used += BLOCK
            if used > min(stored, self._limits.extended * 16):
                self.fault("has a sparse map that is cut short or too long")
            return self.exactly(BLOCK)

        try:
            if block[156:157] == b"S":
                size = number(block[483:495], "size")
                # Extension blocks of the old form are not counted in the member's size.
                return SparseMap(size, old_gnu_extents(block, lambda: self.exactly(BLOCK))), 0
            if pax.get(b"GNU.sparse.major") == b"1":
                return pax_map(pax, more), used
            if b"GNU.sparse.size" in pax:
                listed = b",".join(offsets) or pax.get(b"GNU.sparse.map", b"")
                return SparseMap(int(pax[b"GNU.sparse.size"]), parse_numbers(listed)), 0
        except ValueError:
            self.fault("has a malformed sparse map")
        return None, 0

    def _path(self, name: bytes) -> bytes:
        """Beneath the root, also if it is written with a slash before it, as Docker and containerd unpack layers."""
        if len(name) > self._limits.path:
            self.fault(f"has a path of {len(name)} bytes, more than {self._limits.path}")
        if b"\0" in name or not name:
            self.fault("has an invalid name")
        if b"." not in name and b"//" not in name:
            return name.strip(b"/")
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            self.fault("leaves its folder by '..'")
        return b"/".join(parts)
