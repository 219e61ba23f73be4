"""-o type=local: the image's root file system as a folder of the client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from builder.errors import LayerFault, OutputFault
from builder.export.exporter import TreeSource
from builder.export.oci import check_destination
from builder.images.index import AnyImage
from builder.layer.entry import Item
from builder.oci.reference import Reference


class LocalExporter:
    """Existing files are overwritten, none is removed, and no link in `dest` is followed.

    All files belong to the user, as with `docker buildx build -o`. Device nodes are left out; warn() gets a line about
    that, and about what else could not be kept.
    """

    def __init__(self, dest: str, tree: TreeSource, warn: Callable[[str], None]) -> None:
        self._dest, self._tree, self._warn = dest, tree, warn

    def check(self) -> None:
        check_destination(self._dest, "local")

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        from builder.layer.unpack import apply_plain

        self.check()
        try:
            os.makedirs(self._dest, exist_ok=True)
            root = os.open(self._dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                unpacked = apply_plain(_owned(self._tree(), os.geteuid(), os.getegid()), root, devices=False)
            finally:
                os.close(root)
        except (OSError, LayerFault) as error:
            problem = error.message if isinstance(error, LayerFault) else error.strerror
            raise OutputFault(f"cannot write {self._dest}: {problem}") from error
        for text in unpacked.warnings():
            self._warn(f"{self._dest}: {text}")


def _owned(items: Iterator[Item], uid: int, gid: int) -> Iterator[Item]:
    """The members below the root, owned by uid and gid; the folder itself stays as the user made it."""
    for entry, content in items:
        if entry.path:
            yield msgspec.structs.replace(entry, uid=uid, gid=gid), content
