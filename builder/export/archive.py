"""-o type=docker and type=oci: one tar that is an OCI image layout (image-layout.md)."""

from __future__ import annotations

from builder.export.content import layout_files
from builder.export.layouttar import write_layout_tar
from builder.export.target import Target
from builder.export.transfer import Transfer
from builder.images.index import AnyImage
from builder.oci.reference import Reference


class ArchiveExporter:
    """docker: also with what `docker load` reads."""

    def __init__(self, target: Target, transfer: Transfer, *, docker: bool) -> None:
        self._target, self._transfer, self._docker = target, transfer, docker

    def check(self) -> None:
        self._target.check()

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        with self._target.open() as sink:
            write_layout_tar(layout_files(image, names, docker=self._docker), self._transfer, sink)
