"""`lapstrake images`: the images in the store, in Docker's columns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from builder.cli.opened import opened
from builder.oci.reference import Reference
from builder.progress.clean import clean
from builder.progress.renderer import human_size
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.images.store import ImageStore, StoredImage

_NONE = "<none>"


class _Row(msgspec.Struct, frozen=True):
    repository: str
    tag: str
    digest: str
    id: str
    created: str
    size: int


@click.command("images", help="List the images in the local image store.")
@click.argument("name", metavar="[REPOSITORY[:TAG]]", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="Untagged images, too.")
@click.option("--digests", is_flag=True, help="Show manifest digests.")
@click.option("--no-trunc", is_flag=True, help="Show ids in full.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids only.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def command(
    ctx: click.Context, name: str | None, everything: bool, digests: bool, no_trunc: bool, quiet: bool, form: str
) -> None:
    with opened(ctx) as (_, images):
        rows = [row for row in _rows(images) if everything or row.tag != _NONE]
    if name is not None:
        wanted = Reference.parse(name)
        tag = wanted.tag if ":" in name.rpartition("/")[2] else ""
        rows = [r for r in rows if r.repository == wanted.familiar_name and (not tag or r.tag == tag)]
    rows.sort(key=lambda r: (r.repository, r.tag))
    rows.sort(key=lambda r: r.created, reverse=True)
    now = time.time()
    if quiet:
        for id in dict.fromkeys(_id(row, no_trunc) for row in rows):
            click.echo(id)
    elif form == "json":
        for row in rows:
            click.echo(_json(row, no_trunc, now))
    else:
        _table(rows, digests, no_trunc, now)


def _rows(images: ImageStore) -> Iterator[_Row]:
    for stored in images.list():
        id, size = _facts(images, stored)
        for name in stored.names or ("",):
            repository, _, tag = name.rpartition(":")
            yield _Row(
                clean(repository) or _NONE, clean(tag) or _NONE, str(stored.descriptor.digest), id, stored.created, size
            )


def _facts(images: ImageStore, stored: StoredImage) -> tuple[str, int]:
    """Id and size; an image whose documents are damaged is listed by its digest, so that it can be removed."""
    try:
        return str(images.id(stored)), images.size(stored.descriptor)
    except Fault as error:
        click.echo(f"WARNING: {clean(error.message)}", err=True)
        return str(stored.descriptor.digest), 0


def _id(row: _Row, full: bool) -> str:
    return row.id if full else row.id.removeprefix("sha256:")[:12]


def _table(rows: list[_Row], digests: bool, full: bool, now: float) -> None:
    table = [["REPOSITORY", "TAG", *(["DIGEST"] if digests else []), "IMAGE ID", "CREATED", "SIZE"]]
    for row in rows:
        digest = [row.digest] if digests else []
        table.append([row.repository, row.tag, *digest, _id(row, full), _ago(row.created, now), human_size(row.size)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _json(row: _Row, full: bool, now: float) -> str:
    fields = {
        "Repository": row.repository,
        "Tag": row.tag,
        "Digest": row.digest,
        "ID": _id(row, full),
        "CreatedAt": row.created,
        "CreatedSince": _ago(row.created, now),
        "Size": human_size(row.size),
    }
    return json.dumps(fields)


def _ago(created: str, now: float) -> str:
    """As Docker words it: `About a minute ago`, `3 days ago`."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return "N/A"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = max(int(now - moment.timestamp()), 0)
    if seconds < 1:
        return "Less than a second ago"
    for limit, size, unit, one in (
        (60, 1, "second", "1 second"),
        (3600, 60, "minute", "About a minute"),
        (48 * 3600, 3600, "hour", "About an hour"),
        (14 * 86400, 86400, "day", "1 day"),
        (60 * 86400, 7 * 86400, "week", "1 week"),
        (730 * 86400, 30 * 86400, "month", "1 month"),
    ):
        if seconds < limit:
            count = seconds // size
            return f"{one} ago" if count == 1 else f"{count} {unit}s ago"
    return f"{seconds // (365 * 86400)} years ago"
