"""-o type=tar: the image's root file system as one tar."""

from __future__ import annotations

from builder.export.exporter import TreeSource
from builder.export.target import Target
from builder.images.index import AnyImage
from builder.oci.reference import Reference

_BUFFER = 1 << 20


class TarExporter:
    """tree: the merged root file system."""

    def __init__(self, target: Target, tree: TreeSource) -> None:
        self._target, self._tree = target, tree

    def check(self) -> None:
        self._target.check()

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        from builder.layer.pack import tar_chunks

        with self._target.open() as sink:
            held = bytearray()  # many members are smaller than a write is worth
            for data in tar_chunks(self._tree(), marks=False):
                held += data
                if len(held) >= _BUFFER:
                    sink.write(bytes(held))
                    held.clear()
            sink.write(bytes(held))
