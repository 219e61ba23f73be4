"""`lapstrake images`: the images in the store, in Docker's columns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from builder.cli.opened import opened
from builder.errors import ImageFault
from builder.images.facts import Facts, facts
from builder.images.filters import Filters
from builder.images.naming import halves
from builder.oci.reference import Reference
from builder.progress.clean import clean
from builder.template.listing import IDS, TABLE, listing
from builder.template.record import Record
from builder.template.units import human_size, local_time, moment, since
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.images.store import ImageStore, StoredImage
    from cache.store import Store

_NONE = "<none>"
_HEADERS = {
    "Containers": "CONTAINERS",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "SharedSize": "SHARED SIZE",
    "Size": "SIZE",
    "Tag": "TAG",
    "UniqueSize": "UNIQUE SIZE",
}
_HELP = """List the images in the local image store.

Sizes are those of the stored, compressed layers.

\b
Examples:
  lapstrake images
  lapstrake images 'team/*' -f label=stage=prod
  lapstrake images --format 'table {{.Repository}}\\t{{.Size}}'
"""


class _Row(msgspec.Struct, frozen=True):
    """One name of one image, "" for none. created: when it was made or named here."""

    name: str
    digest: str
    created: str
    facts: Facts


@click.command("images", help=_HELP)
@click.argument("name", metavar="[REPOSITORY[:TAG]]", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="Untagged images, too.")
@click.option("--digests", is_flag=True, help="Show manifest digests.")
@click.option("--no-trunc", is_flag=True, help="Show ids in full.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids only.")
@click.option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
    help="Show what fits: reference=PATTERN, before=IMAGE, since=IMAGE, until=TIME|AGE,"
    " dangling=true|false, label=KEY[=VALUE].",
)  # fmt: skip
@click.option("--format", "form", default="", metavar="TEMPLATE", help="table, table TEMPLATE, json, or a template.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    everything: bool,
    digests: bool,
    no_trunc: bool,
    quiet: bool,
    filters: tuple[str, ...],
    form: str,
) -> None:
    wanted = Filters.parse(filters)
    with opened(ctx) as (store, images):
        rows = [row for row in _rows(store, images) if _shown(row, wanted, name, everything)]
        rows = _in_time(rows, wanted, images)
    rows.sort(key=lambda row: row.name)
    rows.sort(key=lambda row: row.created, reverse=True)
    now = time.time()
    form = _form(form, quiet, digests)
    with_digest = digests or "{{.Digest}}" in form
    records = (_record(row, no_trunc, with_digest, form not in (IDS, TABLE), now) for row in rows)
    click.echo(listing(form, records, _HEADERS, _columns(digests)), nl=False)


def _form(form: str, quiet: bool, digests: bool) -> str:
    if form in ("", TABLE):
        return IDS if quiet else TABLE
    if form == "raw":
        digest = "digest: {{.Digest}}\n" if digests else ""
        return "image_id: {{.ID}}" if quiet else _RAW.replace("image_id", f"{digest}image_id")
    if form.startswith(TABLE) and digests and "{{.Digest}}" not in form:
        return form + "\t{{.Digest}}"
    return form


_RAW = (
    "repository: {{ .Repository }}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\n"
    "virtual_size: {{.Size}}\n"
)


def _columns(digests: bool) -> tuple[str, ...]:
    return ("Repository", "Tag", *(("Digest",) if digests else ()), "ID", "CreatedSince", "Size")


def _rows(store: Store, images: ImageStore) -> Iterator[_Row]:
    for stored in images.list():
        found = _facts(stored, store, images)
        for name in stored.names or ("",):
            yield _Row(name, str(stored.descriptor.digest), stored.created, found)


def _facts(stored: StoredImage, store: Store, images: ImageStore) -> Facts:
    """An image whose documents are damaged is listed by its digest, so that it can be removed."""
    try:
        return facts(stored, images, store.blobs, store.index)
    except Fault as error:
        click.echo(f"WARNING: {clean(error.message)}", err=True)
        return Facts(str(stored.descriptor.digest), 0, {})


def _shown(row: _Row, wanted: Filters, name: str | None, everything: bool) -> bool:
    if wanted.dangling is None and not row.name and not everything:
        return False
    if wanted.dangling is not None and wanted.dangling == bool(row.name):
        return False
    return wanted.has_labels(row.facts.labels) and wanted.fits(row.name) and (name is None or _called(row.name, name))


def _called(name: str, text: str) -> bool:
    """Whether a name is what was asked for: a reference, or a pattern."""
    if set(text) & set("*?[\\"):
        return bool(name) and Filters(references=(text,)).fits(name)
    wanted = Reference.parse(text)
    repository, tag = halves(name)
    asked = wanted.tag if ":" in text.rpartition("/")[2] else ""
    return repository == wanted.familiar_name and (not asked or tag == asked)


def _in_time(rows: list[_Row], wanted: Filters, images: ImageStore) -> list[_Row]:
    for text in (*wanted.before, *wanted.since):
        image = images.resolve(text)
        if image is None:
            raise ImageFault(f"No such image: {text}", "lapstrake images lists what there is")
        if text in wanted.before:
            rows = [row for row in rows if row.created < image.created]
        if text in wanted.since:
            rows = [row for row in rows if row.created > image.created]
    for text in wanted.until:
        limit = _instant(text, time.time())
        rows = [row for row in rows if (made := moment(row.created)) is not None and made.timestamp() < limit]
    return rows


def _instant(text: str, now: float) -> float:
    """Seconds since 1970 of a time, of such seconds, or of a duration before now (moby's timestamp.Parse)."""
    from builder.upkeep.filters import duration

    if text.isascii() and text.isdigit() and len(text) < 13:
        return float(text)
    when = moment(text)
    return when.timestamp() if when is not None else now - duration(text, '"until" filter')


def _record(row: _Row, full: bool, digests: bool, every: bool, now: float) -> Record:
    """every: also what only templates and JSON show."""
    repository, tag = halves(row.name)
    fields = {
        "Containers": "N/A",
        "CreatedAt": local_time(row.created) if every else "",
        "CreatedSince": since(row.created, now),
        "Digest": row.digest if digests else _NONE,
        "ID": row.facts.id if full else row.facts.id.removeprefix("sha256:")[:12],
        "Repository": clean(repository) or _NONE,
        "SharedSize": "N/A",
        "Size": human_size(row.facts.size),
        "Tag": clean(tag) or _NONE,
        "UniqueSize": "N/A",
    }
    return Record(fields, "*formatter.imageContext")
