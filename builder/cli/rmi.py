"""`lapstrake rmi`: take names away, and with the last one the image."""

from __future__ import annotations

import click

from builder.cli.opened import opened
from builder.progress.clean import clean
from cache.errors import CacheFault, Fault


@click.command("rmi", help="Remove images by name or id, or names of images.")
@click.argument("names", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-f", "--force", is_flag=True, help="Remove an image by id with all its names; a missing one is no error."
)
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], force: bool) -> int:
    failed = 0
    with opened(ctx) as (store, images):
        for name in names:
            try:
                lines = images.remove(name, force)
            except Fault as error:
                click.echo(f"ERROR: {clean(error.message)}", err=True)
                if error.hint:
                    click.echo(f"hint: {clean(error.hint)}", err=True)
                failed = failed or int(not (force and images.resolve(name) is None))
                continue
            click.echo("\n".join(lines))
        from builder.images.prune import sweep

        try:
            with store.lock(exclusive=True):
                sweep(store, images)
        except CacheFault:
            pass  # a build runs and may be reading them: prune takes the blobs later
    return failed
