"""`lapstrake push`: an image of the local store to a registry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from builder.cli.opened import opened
from builder.errors import ImageFault, PartMissing
from builder.oci.descriptor import Descriptor
from builder.oci.platform import Platform
from builder.oci.reference import Reference

if TYPE_CHECKING:
    from builder.images.store import ImageStore
    from builder.registry.pushing import Moved
    from builder.registry.registries import Registries
    from cache.digest import Digest
    from cache.store import Store

_HELP = """Push an image of the local image store to a registry.

Of an index of several platforms of which neither this store nor the registry has all, the image that is here is pushed.

\b
Examples:
  lapstrake push registry.example.com:5000/app:1.2
  lapstrake push -a user/app
  lapstrake push --platform linux/arm64 user/app:1-arm64
"""


@click.command("push", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="NAME[:TAG]")
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the image's name.")
@click.option(
    "--platform", default="", metavar="OS/ARCH[/VARIANT]",
    help="Push the image of an index that is for this one, without the index.",
)  # fmt: skip
@click.option("--disable-content-trust", is_flag=True, expose_value=False, help="Taken, and without effect.")
@click.pass_context
def command(ctx: click.Context, name: str, all_tags: bool, quiet: bool, platform: str) -> None:
    from builder.cli.registries import opened_registries

    chosen = Platform.parse(platform) if platform else None
    reference = Reference.parse(name)
    tagged = ":" in name.rpartition("/")[2]
    if reference.digest:
        raise ImageFault("cannot push a digest reference", "push a tag")
    if all_tags and tagged:
        raise ImageFault("tag can't be used with --all-tags/-a")
    with opened(ctx) as (store, images), store.using(), opened_registries(os.environ) as registries:
        known = [Reference.parse(n) for image in images.list() for n in image.names if "@" not in n]
        same = [k for k in known if (k.registry, k.repository) == (reference.registry, reference.repository)]
        wanted = sorted(same, key=lambda k: k.tag) if all_tags else [k for k in same if k.tag == reference.tag]
        if not wanted:
            what = reference.familiar_name if all_tags else reference.familiar
            raise ImageFault(f"An image does not exist locally with the tag: {what}", "lapstrake images lists them")
        if not quiet:
            if not all_tags and not tagged:
                click.echo(f"Using default tag: {reference.tag}")
            click.echo(f"The push refers to repository [{reference.registry}/{reference.repository}]")
        for one in wanted:
            sent = _push(one, chosen, store, images, registries, _silent if quiet else _tell)
            click.echo(str(one) if quiet else f"{one.tag}: digest: {sent.digest} size: {sent.size}")


def _push(
    name: Reference, platform: Platform | None, store: Store, images: ImageStore, registries: Registries, tell: Moved
) -> Descriptor:
    """Of an index of which neither we nor the registry have all, the image that stands in for it, as Docker does."""
    from builder.images.origin import origin_of
    from builder.images.platforms import of_platform, stand_in
    from builder.registry.pushing import push

    def origin(blob: Digest) -> Reference | None:
        found = origin_of(store.index, blob)
        return None if found is None else found.reference

    stored = images.resolve(name.familiar)
    assert stored is not None
    if platform is not None:
        chosen = of_platform(images, store.blobs, stored.descriptor, platform, name.familiar).descriptor
        push(chosen, name, store.blobs, registries, tell, origin)
        return chosen
    try:
        push(stored.descriptor, name, store.blobs, registries, tell, origin)
        return stored.descriptor
    except PartMissing:
        chosen = stand_in(images, store.blobs, stored.descriptor, name.familiar).descriptor
        push(chosen, name, store.blobs, registries, tell, origin)
        click.echo(
            "NOTE: Not all multiplatform-content is present and only the available single-platform image was pushed\n"
            f"{stored.descriptor.digest} -> {chosen.digest}",
            err=True,
        )
        return chosen


def _tell(layer: Descriptor, word: str) -> None:
    click.echo(f"{layer.digest.short}: {word}")


def _silent(layer: Descriptor, word: str) -> None:
    pass
