"""`lapstrake tag`: one more name for an image."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from builder.cli.opened import opened
from builder.errors import ImageFault
from builder.images.naming import shown
from builder.images.reach import reach
from builder.oci.reference import Reference

_HELP = """Give the image SOURCE (name or id) the name TARGET, too.

\b
Examples:
  lapstrake tag app:1 registry.example.com/team/app:1
  lapstrake tag 4f2a9c1b app:latest
"""


@click.command("tag", help=_HELP)
@click.argument("source")
@click.argument("target")
@click.pass_context
def command(ctx: click.Context, source: str, target: str) -> None:
    name = Reference.parse(target)
    with opened(ctx) as (store, images), store.using():
        image = images.resolve(source)
        if image is not None:
            store.blobs.hold(*reach(store.blobs, image.descriptor))
            image = images.resolve(source)  # what is still listed now that it is held is whole
        if image is None:
            raise ImageFault(f"No such image: {shown(source)}", "lapstrake images lists what there is")
        images.tag(name, image.descriptor, image.created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
