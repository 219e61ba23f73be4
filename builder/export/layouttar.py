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
        sink.write(header(Entry(path=folder, kind=Kind.DIR, mode=0o755)))
    for file in files:
        sink.write(header(Entry(path=file.name.encode(), kind=Kind.FILE, mode=0o644, size=file.size)))
        transfer.copy(file, sink)
        sink.write(padding(file.size))
    sink.write(END)
