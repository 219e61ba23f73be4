"""`lapstrake save`: images as one tar, for `docker load` and for what reads OCI layouts."""

from __future__ import annotations

import os

import click

from builder.cli.opened import opened
from builder.cli.refetch import with_refetch
from builder.cli.request import words
from builder.errors import ImageFault, OutputFault
from builder.images.index import AnyImage, ImageIndex
from builder.images.naming import halves, parsed
from builder.images.platforms import of_platform, preferred, whole_images
from builder.images.store import ImageStore, StoredImage
from builder.oci.descriptor import INDEXES, Descriptor
from builder.oci.manifest import read_index
from builder.oci.platform import Platform, host
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
@click.option(
    "--platform", "platforms", multiple=True, metavar="OS/ARCH[/VARIANT][,...]",
    help="Write the images for these only: of one platform an image, of several the index.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], dest: str, platforms: tuple[str, ...]) -> None:
    from builder.export.content import archive_files
    from builder.export.layouttar import write_layout_tar
    from builder.export.target import Target
    from builder.export.transfer import Transfer

    if dest == "-" and os.isatty(1):
        raise OutputFault("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    wanted = tuple(dict.fromkeys(Platform.parse(text) for text in words(platforms)))
    with opened(ctx) as (store, images), store.using():
        chosen: dict[str, tuple[StoredImage, list[str], str]] = {}
        for name in names:
            for stored, tags in _meant(images, name):
                _, known, _ = chosen.setdefault(str(stored.descriptor.digest), (stored, [], name))
                known += [tag for tag in tags if tag not in known]
        loaded = [
            (_chosen(store, images, stored.descriptor, wanted, first), tuple(Reference.parse(tag) for tag in tags))
            for stored, tags, first in chosen.values()
        ]

        def write() -> None:
            with Target(dest, "docker").open() as sink:
                write_layout_tar(archive_files(loaded, docker=True, platform=host()), Transfer(store.blobs), sink)

        with_refetch(store, write, again=dest != "-")


def _chosen(
    store: Store, images: ImageStore, descriptor: Descriptor, platforms: tuple[Platform, ...], name: str
) -> AnyImage:
    """What an archive holds of it: of an index that which is here, as an index if it is all, or all that is asked."""
    found = [of_platform(images, store.blobs, descriptor, platform, name) for platform in platforms]
    if len(found) == 1:
        return found[0]
    if descriptor.media_type not in INDEXES:
        return images.load(descriptor)
    raw = store.blobs.read(descriptor.digest, limit=DOCUMENT_LIMIT)
    value = read_index(raw)
    if found:
        return ImageIndex(tuple(found), value, raw, descriptor)
    here = whole_images(images, store.blobs, descriptor)
    if [image.descriptor.digest for image in here] == [entry.digest for entry in value.manifests]:
        return ImageIndex(here, value, raw, descriptor)
    if not here:
        raise ImageFault(f"no platform of the index {descriptor.digest} is here", "pull it with --platform")
    return preferred(here)


def _meant(images: ImageStore, text: str) -> list[tuple[StoredImage, list[str]]]:
    """The images that a word stands for, each with the names that it is saved under."""
    reference = parsed(text)
    if reference is not None and ":" not in text.rpartition("/")[2] and "@" not in text:
        wanted = reference.familiar_name
        found = [(i, [n for n in i.names if halves(n)[0] == wanted and halves(n)[1]]) for i in images.list()]
        if any(tags for _, tags in found):
            return [(image, tags) for image, tags in found if tags]
    image = images.resolve(text)
    if image is None:
        raise ImageFault(f"No such image: {text}", "lapstrake images lists what there is")
    tagged = reference is not None and reference.tag and reference.familiar in image.names
    return [(image, [reference.familiar] if reference is not None and tagged else [])]
