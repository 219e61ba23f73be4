"""-o type=tar: the image's root file system as one tar."""

from __future__ import annotations

from builder.export.exporter import TreeSource
from builder.export.target import Target
from builder.images.image import Image
from builder.layer.entry import Kind
from builder.layer.tarfmt import END, header, padding
from builder.oci.reference import Reference

_BUFFER = 1 << 20


class TarExporter:
    """tree: the merged root file system."""

    def __init__(self, target: Target, tree: TreeSource) -> None:
        self._target, self._tree = target, tree

    def check(self) -> None:
        self._target.check()

    def write(self, image: Image, names: tuple[Reference, ...]) -> None:
        with self._target.open() as sink:
            held = bytearray()  # many members are smaller than a write is worth
            for entry, content in self._tree():
                held += header(entry)
                if entry.kind is Kind.FILE and content is not None:
                    for data in content.chunks():
                        held += data
                        if len(held) >= _BUFFER:
                            sink.write(bytes(held))
                            held.clear()
                    held += padding(entry.size)
            held += END
            sink.write(bytes(held))
