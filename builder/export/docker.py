"""-o type=docker: one tar that is an OCI layout and what `docker load` reads, at once."""

from __future__ import annotations

from builder.export.content import layout_files
from builder.export.layouttar import write_layout_tar
from builder.export.target import Target
from builder.export.transfer import Transfer
from builder.images.index import AnyImage
from builder.oci.reference import Reference


class DockerExporter:
    def __init__(self, target: Target, transfer: Transfer) -> None:
        self._target, self._transfer = target, transfer

    def check(self) -> None:
        self._target.check()

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        with self._target.open() as sink:
            write_layout_tar(layout_files(image, names, docker=True), self._transfer, sink)
