"""`lapstrake history`: how an image came to be, its newest step first."""

from __future__ import annotations

import time

import click

from builder.cli.opened import opened
from builder.errors import ImageFault
from builder.images.filesizes import files_size
from builder.images.image import Image
from builder.images.naming import shown
from builder.images.platforms import one_image
from builder.oci.platform import Platform
from builder.progress.clean import clean
from builder.template.columns import ellipsis
from builder.template.listing import IDS, TABLE, listing
from builder.template.record import Record
from builder.template.units import human_size, moment, since
from cache.store import Store

_HEADERS = {
    "Comment": "COMMENT",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "CreatedSince": "CREATED",
    "ID": "IMAGE",
    "Size": "SIZE",
}
_WIDEST = 45
_FIRST = 946684800  # 2000-01-01: what says to be older was not dated by a clock
_HELP = """Show the history of an image.

\b
Examples:
  lapstrake history app:1
  lapstrake history --no-trunc --format '{{.CreatedBy}}' app:1
"""


@click.command("history", help=_HELP)
@click.argument("name", metavar="IMAGE")
@click.option("--no-trunc", is_flag=True, help="Show commands and ids in full.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids only.")
@click.option(
    "-H", "--human", type=bool, default=True, is_flag=False, flag_value=True, metavar="BOOL",
    help="Sizes and dates in words (the default); --human=false for bytes and RFC 3339.",
)  # fmt: skip
@click.option("--format", "form", default="", metavar="TEMPLATE", help="table, table TEMPLATE, json, or a template.")
@click.option("--platform", default="", metavar="OS/ARCH[/VARIANT]", help="Of an index, the image for this one.")
@click.pass_context
def command(ctx: click.Context, name: str, no_trunc: bool, quiet: bool, human: bool, form: str, platform: str) -> None:
    with opened(ctx) as (store, images):
        stored = images.resolve(name)
        if stored is None:
            raise ImageFault(f"No such image: {shown(name)}", "lapstrake images lists what there is")
        wanted = Platform.parse(platform) if platform else None
        image = one_image(images, store.blobs, stored.descriptor, wanted, name)
        rows = _rows(image, store, no_trunc, human)
    if form in ("", TABLE):
        form = IDS if quiet else TABLE
    columns = ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment")
    click.echo(listing(form, rows, _HEADERS, columns), nl=False)


def _rows(image: Image, store: Store, full: bool, human: bool) -> list[Record]:
    layers = iter(image.layers)
    now, rows = time.time(), []
    for step in image.config.history:
        layer = None if step.empty_layer else next(layers, None)
        size = files_size(layer, store.blobs, store.index) if layer is not None else 0
        when = moment(step.created)
        at = when.astimezone().isoformat(timespec="seconds").replace("+00:00", "Z") if when else ""
        words = clean(step.created_by.replace("\t", " "))
        fields = {
            "Comment": clean(step.comment),
            "CreatedAt": at,
            "CreatedBy": words if full else ellipsis(words, _WIDEST),
            "CreatedSince": at if not human else _since(step.created, now),
            "ID": "<missing>",
            "Size": human_size(size) if human else str(size),
        }
        rows.append(Record(fields, "*image.historyContext"))
    rows.reverse()
    if rows:
        rows[0]["ID"] = str(image.id) if full else image.id.hex[:12]
    return rows


def _since(created: str, now: float) -> str:
    when = moment(created)
    return "N/A" if when is None or when.timestamp() <= _FIRST else since(created, now)
