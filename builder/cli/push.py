"""`lapstrake push`: an image of the local store to a registry."""

from __future__ import annotations

import os

import click

from builder.cli.opened import opened
from builder.errors import ImageFault
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference

_HELP = """Push an image of the local image store to a registry.

\b
Examples:
  lapstrake push registry.example.com:5000/app:1.2
  lapstrake push -a user/app
"""


@click.command("push", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="NAME[:TAG]")
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the image's name.")
@click.option("--disable-content-trust", is_flag=True, default=True, help="Taken, and without effect.")
@click.pass_context
def command(ctx: click.Context, name: str, all_tags: bool, quiet: bool, disable_content_trust: bool) -> None:
    from builder.cli.registries import opened_registries
    from builder.registry.pushing import push

    reference = Reference.parse(name)
    tagged = ":" in name.rpartition("/")[2]
    if reference.digest:
        raise ImageFault("cannot push a digest reference", "push a tag")
    if all_tags and tagged:
        raise ImageFault("tag can't be used with --all-tags/-a")
    with opened(ctx) as (store, images), store.lock(), opened_registries(os.environ) as registries:
        known = [Reference.parse(n) for image in images.list() for n in image.names]
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
            image = images.resolve(one.familiar)
            assert image is not None

            push(image.descriptor, one, store.blobs, registries, _silent if quiet else _tell)
            if quiet:
                click.echo(str(one))
            else:
                click.echo(f"{one.tag}: digest: {image.descriptor.digest} size: {image.descriptor.size}")


def _tell(layer: Descriptor, word: str) -> None:
    click.echo(f"{layer.digest.short}: {word}")


def _silent(layer: Descriptor, word: str) -> None:
    pass
