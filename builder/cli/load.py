"""`lapstrake load`: images out of an archive, all of them or none."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from typing import IO

import click

from builder.cli.opened import opened
from builder.cli.request import words
from builder.errors import SourceFault
from builder.images.archive import load_archive
from builder.images.layoutload import Loaded
from builder.images.store import ImageStore
from builder.oci.descriptor import INDEXES, Descriptor
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.progress.clean import clean
from cache.store import Store

_CHUNK = 1 << 20
_HELP = """Load the images of an archive that docker, podman or lapstrake saved, or of an OCI layout as a tar.

Every digest is checked. If anything is wrong with the archive, nothing of it is loaded. Of an index of several
platforms all is loaded that the archive has of it.

\b
Examples:
  lapstrake load -i app.tar
  docker save app:1 | lapstrake load
  lapstrake load --platform linux/arm64 -i app.tar.zst
"""


@click.command("load", help=_HELP)
@click.option("-i", "--input", "source", default="", metavar="FILE", help="Read a file instead of standard input.")
@click.option(
    "--platform", "platforms", multiple=True, metavar="OS/ARCH[/VARIANT][,...]",
    help="Load images for these only; every image must have them.",
)  # fmt: skip
@click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, help="As for Docker; no progress is shown in any case."
)
@click.pass_context
def command(ctx: click.Context, source: str, platforms: tuple[str, ...]) -> None:
    if not source and os.isatty(0):
        raise SourceFault("requested load from stdin, but stdin is empty", "give an archive with -i FILE")
    wanted = tuple(Platform.parse(text) for text in words(platforms))
    with opened(ctx) as (store, images):
        try:
            with store.using():
                loaded = _load(store, source, wanted)
                named = [(found, tuple(Reference.parse(name) for name in names)) for found, names in loaded]
                lines = [line for found, names in named for line in _name(images, found, names)]
        except BaseException:
            from builder.images.sweep import sweep

            sweep(store, images)  # blobs of an archive that failed in the middle
            raise
    click.echo("\n".join(lines))


def _load(store: Store, source: str, platforms: tuple[Platform, ...]) -> list[Loaded]:
    if source:
        return load_archive(source, store.blobs, platforms)
    with tempfile.NamedTemporaryFile(dir=store.path("tmp"), prefix="load-") as spool:
        with open(0, "rb", closefd=False, buffering=0) as stdin:
            _copy(stdin, spool)
        return load_archive(spool.name, store.blobs, platforms, where="the standard input")


def _copy(source: IO[bytes], spool: IO[bytes]) -> None:
    while data := source.read(_CHUNK):
        spool.write(data)
    spool.flush()


def _name(images: ImageStore, found: Descriptor, names: tuple[Reference, ...]) -> list[str]:
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in names:
        images.tag(name, found, created)
    if names:
        return [f"Loaded image: {clean(name.familiar)}" for name in names]
    images.keep(found, created)
    id = found.digest if found.media_type in INDEXES else images.load(found).id
    return [f"Loaded image ID: {id}"]
