"""`lapstrake rmi`: take names away, and with the last one the image."""

from __future__ import annotations

import click

from builder.cli.opened import opened
from builder.progress.clean import clean
from cache.errors import Fault

_HELP = """Remove images by name or id, or names of images.

With the last name the image goes, and what no other image and no cached step needs. An image that a running
lapstrake run uses keeps its last name. A build or run that goes on keeps its blobs; a later prune removes them.

\b
Examples:
  lapstrake rmi app:1
  lapstrake rmi -f 4f2a9c1b
"""


@click.command("rmi", help=_HELP)
@click.argument("names", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-f", "--force", is_flag=True, help="By id with all names, and while in use; a missing image is no error."
)
@click.option("--no-prune", is_flag=True, help="Keep the blobs; a later prune removes them.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], force: bool, no_prune: bool) -> int:
    failed, deleted = 0, False
    with opened(ctx, freeing=True) as (store, images):
        for name in names:
            try:
                lines = images.remove(name, force)
            except Fault as error:
                click.echo(f"ERROR: {clean(error.message)}", err=True)
                if error.hint:
                    click.echo(f"hint: {clean(error.hint)}", err=True)
                failed = failed or int(not (force and images.resolve(name) is None))
                continue
            deleted = deleted or any(line.startswith("Deleted: ") for line in lines)
            click.echo("\n".join(lines))
        if no_prune or not deleted:
            return failed
        from builder.images.sweep import sweep

        sweep(store, images)
    return failed
