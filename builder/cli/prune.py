"""`lapstrake prune`: what is not needed any more leaves the store."""

from __future__ import annotations

import click

from builder.cli.opened import opened
from builder.progress.renderer import human_size

_HELP = """Remove untagged images and whatever no image and no cached step needs.

With --all the build cache goes, too. Images that have a name always stay.

\b
Examples:
  lapstrake prune
  lapstrake prune --all --force
"""


@click.command("prune", help=_HELP)
@click.option("-a", "--all", "everything", is_flag=True, help="Remove the whole build cache.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.pass_context
def command(ctx: click.Context, everything: bool, force: bool) -> None:
    if not force:
        what = "the whole build cache and all untagged images" if everything else "all untagged images and leftovers"
        click.confirm(f"This will remove {what}. Are you sure you want to continue?", abort=True)
    from builder.images.prune import prune
    from builder.sandbox import namespace

    namespace.enter()  # trees may belong to users that only our namespace can act as
    with opened(ctx) as (store, images), store.lock(exclusive=True):
        pruned = prune(store, images, everything)
    click.echo(f"Removed {pruned.images} untagged images, {pruned.results} cached results, {pruned.blobs} blobs")
    click.echo(f"Total reclaimed space: {human_size(pruned.reclaimed)}")
