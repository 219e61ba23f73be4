"""`lapstrake save`: images as one tar, for `docker load` and for what reads OCI layouts."""

from __future__ import annotations

import os

import click

from builder.cli.opened import opened
from builder.errors import ImageFault, OutputFault
from builder.images.image import Image
from builder.images.index import AnyImage, ImageIndex
from builder.images.naming import parsed
from builder.images.store import ImageStore, StoredImage
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import read_index
from builder.oci.match import best
from builder.oci.platform import host
from builder.oci.reference import Reference
from cache.blobs import DOCUMENT_LIMIT
from cache.store import Store

_HELP = """Write images to a tar archive: an OCI layout that docker load takes, too.

A name without a tag stands for all tags of its repository. What images share is in the archive once.
An index is written whole if all its platforms are here, else the image for this machine, or the first that is here.

\b
Examples:
  lapstrake save -o app.tar app:1 app:2
  lapstrake save app:1 | docker load
"""


@click.command("save", help=_HELP)
@click.argument("names", metavar="IMAGE...", nargs=-1, required=True)
@click.option("-o", "--output", "dest", default="-", metavar="FILE", help="Write to a file instead of standard output.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], dest: str) -> None:
    from builder.export.content import archive_files
    from builder.export.layouttar import write_layout_tar
    from builder.export.target import Target
    from builder.export.transfer import Transfer

    if dest == "-" and os.isatty(1):
        raise OutputFault("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    with opened(ctx) as (store, images), store.lock():
        chosen: dict[str, tuple[StoredImage, list[str]]] = {}
        for name in names:
            for stored, tags in _meant(images, name):
                _, known = chosen.setdefault(str(stored.descriptor.digest), (stored, []))
                known += [tag for tag in tags if tag not in known]
        loaded = [
            (_whole(store, images, stored.descriptor), tuple(Reference.parse(tag) for tag in tags))
            for stored, tags in chosen.values()
        ]
        with Target(dest, "docker").open() as sink:
            write_layout_tar(archive_files(loaded, docker=True, platform=host()), Transfer(store.blobs), sink)


def _whole(store: Store, images: ImageStore, descriptor: Descriptor) -> AnyImage:
    """What an archive can hold of it: an index only if nothing that it names is missing."""
    if descriptor.media_type not in INDEXES:
        return images.load(descriptor)
    raw = store.blobs.read(descriptor.digest, limit=DOCUMENT_LIMIT)
    value = read_index(raw)
    here = tuple(image for image in images.members(descriptor) if _is_here(store, image))
    if [image.descriptor.digest for image in here] == [entry.digest for entry in value.manifests]:
        return ImageIndex(here, value, raw, descriptor)
    fitting = best([entry for entry in value.manifests if entry.media_type in MANIFESTS], host())
    wanted = {entry.digest for entry in fitting}
    if not here:
        raise ImageFault(f"no platform of the index {descriptor.digest} is here", "pull it with --platform")
    return next((image for image in here if image.descriptor.digest in wanted), here[0])


def _is_here(store: Store, image: Image) -> bool:
    return all(store.blobs.has(layer.digest, layer.size) for layer in image.manifest.layers)


def _meant(images: ImageStore, text: str) -> list[tuple[StoredImage, list[str]]]:
    """The images that a word stands for, each with the names that it is saved under."""
    reference = parsed(text)
    if reference is not None and ":" not in text.rpartition("/")[2] and "@" not in text:
        wanted = reference.familiar_name
        found = [(i, [n for n in i.names if n.rpartition(":")[0] == wanted]) for i in images.list()]
        if any(tags for _, tags in found):
            return [(image, tags) for image, tags in found if tags]
    image = images.resolve(text)
    if image is None:
        raise ImageFault(f"No such image: {text}", "lapstrake images lists what there is")
    return [(image, [reference.familiar] if reference is not None and reference.familiar in image.names else [])]
