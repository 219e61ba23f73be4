"""An image layout as one tar file: its bytes depend on the image and its names alone."""

from __future__ import annotations

from collections.abc import Iterable

from builder.export.content import File
from builder.export.target import Sink
from builder.export.transfer import Transfer
from builder.layer.entry import Entry, Kind
from builder.layer.tarfmt import END, header, padding

_FOLDERS = (b"blobs", b"blobs/sha256")


def write_layout_tar(files: Iterable[File], transfer: Transfer, sink: Sink) -> None:
    """Folders, then files as given; owner 0:0, modes 0755 and 0644, times 1970."""
    for folder in _FOLDERS:
        sink.write(_head(folder))
    for file in files:
        sink.write(_head(file))
        transfer.copy(file, sink)
        sink.write(padding(file.size))
    sink.write(END)


def layout_tar_size(files: Iterable[File]) -> int:
    """Bytes that write_layout_tar writes."""
    parts = sum(len(_head(file)) + file.size + len(padding(file.size)) for file in files)
    return sum(len(_head(folder)) for folder in _FOLDERS) + parts + len(END)


def _head(what: File | bytes) -> bytes:
    if isinstance(what, bytes):
        return header(Entry(path=what, kind=Kind.DIR, mode=0o755))
    return header(Entry(path=what.name.encode(), kind=Kind.FILE, mode=0o644, size=what.size))
