"""-o type=docker without a file, and --load: the image goes into a Docker or Podman that runs here."""

from __future__ import annotations

from builder.errors import OutputFault
from builder.export.content import layout_files
from builder.export.engine import Engine
from builder.export.layouttar import layout_tar_size, write_layout_tar
from builder.export.transfer import Transfer
from builder.images.index import AnyImage, ImageIndex
from builder.oci.reference import Reference


class EngineExporter:
    """joined: whether there will be an index."""

    def __init__(self, engine: Engine, transfer: Transfer, joined: bool) -> None:
        self._engine, self._transfer, self._joined = engine, transfer, joined
        self.name, self.indexes = engine.name, engine.indexes

    def check(self) -> None:
        if self._joined and not self._engine.indexes:
            raise OutputFault(
                "docker exporter does not currently support exporting manifest lists",
                "an engine with containerd's image store takes them; build one platform, or use --push",
            )

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        files = layout_files(image, names, docker=not isinstance(image, ImageIndex))
        with self._engine.open(layout_tar_size(files)) as sink:
            write_layout_tar(files, self._transfer, sink)
