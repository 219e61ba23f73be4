"""-o type=local: the image's root file system as a folder of the client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from builder.errors import LayerFault, OutputFault
from builder.export.exporter import TreeSource
from builder.export.layoutfolder import check_destination
from builder.export.options import LOCAL_DELETE
from builder.images.index import AnyImage
from builder.layer.entry import Item
from builder.oci.reference import Reference


class LocalExporter:
    """Existing files are overwritten, no link in `dest` is followed. delete: what the image has not is removed.

    All files belong to the user, as with `docker buildx build -o`. Device nodes are left out; warn() gets a line about
    that, and about what else could not be kept.
    """

    def __init__(
        self,
        dest: str,
        tree: TreeSource,
        warn: Callable[[str], None],
        delete: bool = False,
        allow: frozenset[str] = frozenset(),
    ) -> None:
        self._dest, self._tree, self._warn = dest, tree, warn
        self._delete, self._allow = delete, allow

    def check(self) -> None:
        check_destination(self._dest, "local")
        if self._delete and LOCAL_DELETE not in self._allow and not _is_below(self._dest, "."):
            raise OutputFault(
                f'local output mode=delete for destination "{self._dest}" requires --allow={LOCAL_DELETE}',
                "all that the result has not would be deleted there",
            )

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        from builder.layer.unpack import apply_plain

        self.check()
        try:
            os.makedirs(self._dest, exist_ok=True)
            root = os.open(self._dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                items = _owned(self._tree(), os.geteuid(), os.getegid())
                if self._delete:
                    kept: set[bytes] = set()
                    unpacked = apply_plain(_noted(items, kept), root, devices=False)
                    _delete_others(root, kept)
                else:
                    unpacked = apply_plain(items, root, devices=False)
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


def _noted(items: Iterator[Item], paths: set[bytes]) -> Iterator[Item]:
    for entry, content in items:
        paths.add(entry.path)
        yield entry, content


def _delete_others(root: int, kept: set[bytes]) -> None:
    """Remove all below an open folder but these paths, whose parents are among them."""
    from builder.layer.opendirs import OpenDirs
    from builder.layer.remove import remove

    with OpenDirs(root) as dirs:
        todo = [b""]
        while todo:
            folder = todo.pop()
            fd = dirs.fd(folder)
            with os.scandir(fd) as found:
                children = [(os.fsencode(child.name), child.is_dir(follow_symlinks=False)) for child in found]
            for name, is_folder in children:
                path = folder + b"/" + name if folder else name
                if path not in kept:
                    remove(dirs.fd(folder), name)
                elif is_folder:
                    todo.append(path)


def _is_below(path: str, folder: str) -> bool:
    """Links followed, as far as there is something."""
    real, above = os.path.realpath(path), os.path.realpath(folder)
    return real != above and os.path.commonpath((real, above)) == above
