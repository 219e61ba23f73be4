"""`lapstrake pull`: an image of a registry into the local image store."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

import click
from msgspec.structs import replace

from builder.cli.bounds import unpack_limits
from builder.cli.opened import opened
from builder.errors import ImageFault
from builder.images.origin import note_origin
from builder.images.platforms import platform_of
from builder.oci.match import best
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from builder.progress.clean import clean

if TYPE_CHECKING:
    from builder.images.store import ImageStore
    from builder.source.pulled import Pulled
    from cache.index import Index

_HELP = """Pull an image from a registry into the local image store.

\b
Examples:
  lapstrake pull debian:bookworm-slim
  lapstrake pull --platform linux/arm64 registry.example.com:5000/app@sha256:...
"""


@click.command("pull", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
@click.option("-a", "--all-tags", is_flag=True, help="Pull all tags of the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the image's name.")
@click.option(
    "--platform", "platform", metavar="OS/ARCH[/VARIANT]", help="Platform to choose (default: this machine's)."
)
@click.option("--disable-content-trust", is_flag=True, expose_value=False, help="Taken, and without effect.")
@click.pass_context
def command(ctx: click.Context, name: str, all_tags: bool, quiet: bool, platform: str | None) -> None:
    from builder.cli.registries import opened_registries
    from builder.source.pulled import Pulled

    reference = Reference.parse(name)
    if all_tags and (reference.digest or ":" in name.rpartition("/")[2]):
        raise ImageFault("tag can't be used with --all-tags/-a")
    if not all_tags and not quiet and ":" not in name.rpartition("/")[2] and not reference.digest:
        click.echo(f"Using default tag: {reference.tag}")
    wanted = Platform.parse(platform) if platform else None
    with opened(ctx) as (store, images), store.using(), opened_registries(os.environ) as registries:
        store.tidy()
        store.load_ballast()
        pulled = Pulled(registries, store.blobs, unpack_limits(os.environ))
        names = [reference]
        if all_tags:
            place = f"{reference.registry}/{reference.repository}"
            names = [Reference.parse(f"{place}:{tag}") for tag in sorted(registries.tags(reference))]
        for one in names:
            pull(one, wanted, pulled, images, store.index, sys.stdout, quiet)
            click.echo(str(one))


def pull(
    reference: Reference,
    platform: Platform | None,
    pulled: Pulled,
    images: ImageStore,
    index: Index,
    out: TextIO,
    quiet: bool,
) -> None:
    """Take one image, and say so in Docker's words. platform: None for this machine's. index: of the store."""
    from builder.cli.pulling import progress

    def say(text: str) -> None:
        if not quiet:
            print(text, file=out, flush=True)

    had = images.resolve(reference.familiar)
    top, image = pulled.locate(reference, platform or host())
    say(f"{reference.digest or reference.tag}: Pulling from {reference.repository}")
    with progress(out, quiet) as moved:
        pulled.fetch(reference, image.layers, moved)
    note_origin(index, reference, image.layers)
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if reference.digest:
        images.keep(top, created)
    else:
        images.tag(replace(reference, digest=None), top, created)
    say(f"Digest: {top.digest}")
    new = had is None or had.descriptor.digest != top.digest
    what = "Downloaded newer image for" if new else "Image is up to date for"
    say(f"Status: {what} {clean(reference.familiar)}")
    has = platform_of(image)
    if platform is not None and not best([replace(image.descriptor, platform=has)], platform):
        say(
            f"WARNING: image with reference {clean(reference.familiar)} was found but its platform ({clean(str(has))}) "
            f"does not match the specified platform ({platform})"
        )
