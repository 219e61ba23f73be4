"""`lapstrake du`: what the store holds, why, and how much disk it takes."""

from __future__ import annotations

import time

import click

from builder.cli.kept import kept
from builder.cli.records import as_record, pretty, summary
from builder.template.listing import TABLE, listing
from builder.upkeep.filters import parse_filter
from cache.errors import Fault

_HEADERS = {
    "CreatedAt": "CREATED AT",
    "Description": "DESCRIPTION",
    "ID": "ID",
    "KeptFor": "KEPT FOR",
    "LastUsedAt": "LAST ACCESSED",
    "Mutable": "MUTABLE",
    "Parents": "PARENTS",
    "Reclaimable": "RECLAIMABLE",
    "Shared": "SHARED",
    "Size": "SIZE",
    "Type": "TYPE",
    "UsageCount": "USAGE COUNT",
}
_COLUMNS = ("ID", "Reclaimable", "Size", "LastUsedAt")
_HELP = """Show all that takes disk below the store's folder, the largest last; the total is what du -s says.

A star means: mutable (at an id), needed by an image that has a name (at a size). What is not reclaimable is in use,
needed by such an image, or bookkeeping.

\b
Examples:
  lapstrake du
  lapstrake du --verbose --filter type=exec.cachemount
  lapstrake du --format '{{.ID}} {{.Size}} {{join .KeptFor ", "}}'
"""


@click.command("du", help=_HELP)
@click.option("--verbose", is_flag=True, help="The same as --format=pretty.")
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE",
    help="Show what fits: until=, id=, parents=, description=, type= (also != and ~=), inuse, mutable, shared, ….",
)  # fmt: skip
@click.option("--format", "form", default="", metavar="FORM", help="pretty, table, table TEMPLATE, json or a template.")
@click.pass_context
def command(ctx: click.Context, verbose: bool, filters: tuple[str, ...], form: str) -> None:
    if form and verbose:
        raise Fault("--format and --verbose cannot be used together")
    form = "pretty" if verbose else form or TABLE
    wanted, now = parse_filter(filters), time.time()
    usages = [usage for usage in kept(ctx) if wanted.matches(usage, now)]
    usages.sort(key=lambda usage: (usage.size, usage.id))
    if form == "pretty":
        text = "\n".join(pretty(usage, now) for usage in usages)
    else:
        records = (as_record(usage, now, stars=form.startswith(TABLE)) for usage in usages)
        text = listing(form, records, _HEADERS, _COLUMNS)
    click.echo(text + (summary(usages) if form in (TABLE, "pretty") and not filters else ""), nl=False)
