"""-o type=oci,tar=false: an OCI image layout (image-layout.md) as a folder."""

from __future__ import annotations

import os

from builder.errors import OutputFault
from builder.export.content import File, layout_files
from builder.export.target import Target, check_folder
from builder.export.transfer import Transfer
from builder.images.index import AnyImage
from builder.oci.reference import Reference


class LayoutFolderExporter:
    """The folder may hold a layout already: its blobs stay, its index.json is replaced, last of all."""

    def __init__(self, dest: str, transfer: Transfer) -> None:
        self._dest, self._transfer = dest, transfer

    def check(self) -> None:
        check_destination(self._dest, "oci")

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        self.check()
        try:
            os.makedirs(os.path.join(self._dest, "blobs", "sha256"), exist_ok=True)
        except OSError as error:
            raise OutputFault(f"cannot write {self._dest}: {error.strerror}") from error
        files = layout_files(image, names, docker=False)
        for file in sorted(files, key=lambda f: (not f.name.startswith("blobs/"), f.name == "index.json", f.name)):
            self._put(file)

    def _put(self, file: File) -> None:
        with Target(os.path.join(self._dest, file.name), "oci").open() as sink:
            self._transfer.copy(file, sink)


def check_destination(dest: str, kind: str) -> None:
    """OutputFault unless `dest` is a folder that we may write, or can be made in one."""
    if dest in ("", "-"):
        problem = "dest cannot be stdout" if dest else "dest is required"
        raise OutputFault(f"{problem} for {kind} exporter", "give dest=FOLDER")
    if os.path.isdir(dest):
        check_folder(dest, dest)
        return
    if os.path.lexists(dest):
        raise OutputFault(f"destination directory {dest} is a file", "give the name of a folder")
    above = os.path.dirname(os.path.abspath(dest))
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    check_folder(above, dest)
