"""Files: named files that an image is read from, in a folder or inside a tar archive; none is ever extracted."""

from __future__ import annotations

import os
import posixpath
import stat
from types import TracebackType
from typing import Protocol, Self

from builder.errors import LayerFault, SourceFault
from builder.layer.entry import Kind
from builder.layer.plain import open_plain, sniff
from builder.layer.tarread import TarReader
from cache.blobs import DOCUMENT_LIMIT

_CHUNK = 1 << 20
_LINKS = 8
_RATIO = 2000  # of the archive's own compression; its layers are usually compressed already
_NAMES = 64 << 20  # bytes of all names of an archive that we are willing to remember


class Part:
    """`read` of `size` bytes at a place of an open file; the file stays with whoever opened it."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd, self._at, self.size = fd, start, size
        self._end = start + size

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._fd, min(size, _CHUNK, self._end - self._at), self._at)
        self._at += len(data)
        return data


class Files(Protocol):
    """where: as shown in errors."""

    @property
    def where(self) -> str: ...

    def open(self, name: str) -> Part | None:
        """The regular file of this name (`/`-separated, relative), or None. Valid until close()."""
        ...


def read_document(files: Files, name: str) -> bytes | None:
    """A small file's bytes, None if it is not there; SourceFault if it is larger than a document may be."""
    part = files.open(name)
    if part is None:
        return None
    if part.size > DOCUMENT_LIMIT:
        raise SourceFault(f"{files.where}: {name} is larger than {DOCUMENT_LIMIT} bytes")
    return b"".join(iter(lambda: part.read(_CHUNK), b""))


class _Opened:
    """File descriptors that are closed together."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def _open(self, path: str) -> tuple[int, int] | None:
        """The descriptor and size of a regular file; a fifo or device is as good as nothing."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SourceFault(f"cannot read {path}: {error.strerror}") from error
        self._fds.append(fd)
        status = os.fstat(fd)
        return (fd, status.st_size) if stat.S_ISREG(status.st_mode) else None


class FolderFiles(_Opened):
    """Files below a folder of the host."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.where = path

    def open(self, name: str) -> Part | None:
        opened = self._open(os.path.join(self.where, name))
        return None if opened is None else Part(opened[0], 0, opened[1])


class TarFiles(_Opened):
    """The members of a tar archive, itself compressed or not. Its names are read once, when this is made."""

    def __init__(self, path: str, scratch: str, where: str = "") -> None:
        """scratch: folder for a nameless temporary file, for a compressed archive. where: what errors call it."""
        super().__init__()
        self.where = where or path
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        opened = self._open(path)
        if opened is None:
            raise SourceFault(
                f"cannot read {self.where}: not a file", "give a file made by docker save, or of OCI layout"
            )
        try:
            self._fd, size = self._plain(*opened, scratch)
            self._scan(size)
        except LayerFault as error:
            self.close()
            raise SourceFault(f"{self.where}: {error.message}", error.hint) from error
        except BaseException:
            self.close()
            raise

    def _plain(self, fd: int, size: int, scratch: str) -> tuple[int, int]:
        if not sniff(os.pread(fd, 8, 0).ljust(8, b"\0")):
            return fd, size
        import tempfile

        with tempfile.TemporaryFile(dir=scratch) as spool:
            plain = open_plain(Part(fd, 0, size), ratio=_RATIO)
            while data := plain.read(_CHUNK):
                spool.write(data)
            spool.flush()
            self._fds.append(os.dup(spool.fileno()))
            return self._fds[-1], spool.tell()

    def _scan(self, size: int) -> None:
        stream = _Counted(Part(self._fd, 0, size))
        names = 0
        for entry, _ in TarReader(stream):
            names += len(entry.path) + len(entry.link)
            if names > _NAMES:
                raise SourceFault(f"{self.where}: the names of its members take more than {_NAMES} bytes")
            name = os.fsdecode(entry.path)
            if entry.kind is Kind.FILE:
                # A sparse member has another size than what is stored; no image archive has one that it needs, and
                # digests tell.
                self._members[name] = (stream.position, entry.size)
            elif entry.kind is Kind.SYMLINK:
                self._links[name] = posixpath.join(posixpath.dirname(name), os.fsdecode(entry.link))
            elif entry.kind is Kind.HARDLINK:
                self._links[name] = os.fsdecode(entry.link)

    def open(self, name: str) -> Part | None:
        for _ in range(_LINKS):
            name = posixpath.normpath(name)
            if name in self._members:
                start, size = self._members[name]
                return Part(self._fd, start, size)
            if name not in self._links:
                return None
            name = self._links[name]
        return None


class _Counted:
    """A stream that knows how far it has been read."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self.position = 0

    def read(self, size: int, /) -> bytes:
        data = self._part.read(size)
        self.position += len(data)
        return data
