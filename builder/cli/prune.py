"""`lapstrake prune`: what is not needed any more leaves the store."""

from __future__ import annotations

import time

import click

from builder.cli.confirm import confirm
from builder.cli.records import ago, as_record, labeled, size
from builder.cli.request import byte_count
from builder.upkeep.filters import duration, parse_filter
from builder.upkeep.policy import Policy
from builder.upkeep.usage import Usage

_HELP = """Remove the build cache and images that have no name; builds may go on meanwhile and lose nothing they use.

Images that have a name always stay. With --all, results of steps that made such images are forgotten, too, and what is
only there to save time. With one of the limits only as much goes as it asks for, the least recently used first.

\b
Examples:
  lapstrake prune
  lapstrake prune --force --max-used-space 20gb
  lapstrake prune --all --force --filter until=48h --filter type!=exec.cachemount
"""


@click.command("prune", help=_HELP)
@click.option("-a", "--all", "everything", is_flag=True, help="Also what is shared with images, or internal.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE",
    help="Remove what fits: until=, id=, parents=, description=, type= (also != and ~=), mutable, private, ….",
)  # fmt: skip
@click.option("--reserved-space", default="", metavar="BYTES", help="As much the cache may keep in any case.")
@click.option("--max-used-space", default="", metavar="BYTES", help="No more than this the cache may take.")
@click.option("--min-free-space", default="", metavar="BYTES", help="As much is to be free on the disk afterwards.")
@click.option("--keep-storage", default="", metavar="BYTES", hidden=True)
@click.option("--keep-duration", default="", metavar="DURATION", help="Keep what was used within, say, 24h.")
@click.option("--verbose", is_flag=True, help="Show all that is known of what goes.")
@click.pass_context
def command(
    ctx: click.Context,
    everything: bool,
    force: bool,
    filters: tuple[str, ...],
    reserved_space: str,
    max_used_space: str,
    min_free_space: str,
    keep_storage: str,
    keep_duration: str,
    verbose: bool,
) -> None:
    reserved = reserved_space or keep_storage
    policy = Policy(
        everything=everything,
        filters=(parse_filter(filters),) if filters else (),
        keep=duration(keep_duration, "--keep-duration") if keep_duration else 0.0,
        reserved=byte_count("--reserved-space", reserved) if reserved else 0,
        most=byte_count("--max-used-space", max_used_space) if max_used_space else 0,
        free=byte_count("--min-free-space", min_free_space) if min_free_space else 0,
    )
    if keep_storage:
        click.echo(
            "Flag --keep-storage has been deprecated, keep-storage flag has been changed to reserved-space", err=True
        )
    if not force:
        what = "all build cache" if everything else "all dangling build cache"
        confirm(f"WARNING! This will remove {what}. Are you sure you want to continue?")
    from builder.cli.kept import whole
    from builder.upkeep.prune import Pruner

    now = time.time()
    rows = 0

    def tell(usage: Usage) -> None:
        nonlocal rows
        if not verbose and not rows:
            click.echo("ID\t\t\t\t\t\tRECLAIMABLE\tSIZE\t\tLAST ACCESSED")
        click.echo(_full(usage, now) if verbose else _row(usage, now))
        rows += 1

    with whole(ctx) as (store, images, registry):
        reclaimed = Pruner(store, images, registry, now).prune(policy, tell)
    click.echo(labeled([("Total", size(reclaimed))]).replace("\t\t", "\t"), nl=False)


def _row(usage: Usage, now: float) -> str:
    shown = as_record(usage, now, stars=True)
    return f"{shown['ID']:<40}\ttrue \t\t{shown['Size']:<10}\t{shown['LastUsedAt']}"


def _full(usage: Usage, now: float) -> str:
    shown = as_record(usage, now, stars=False)
    return labeled(
        [
            ("ID", shown["ID"]),
            *([("Parent", ",".join(usage.parents))] if usage.parents else []),
            ("Created at", shown["CreatedAt"]),
            ("Mutable", str(usage.mutable).lower()),
            ("Reclaimable", "true"),
            ("Shared", str(usage.shared).lower()),
            ("Size", shown["Size"]),
            ("Description", shown["Description"]),
            ("Usage count", str(usage.uses)),
            *([("Last used", ago(usage.used, now))] if usage.used is not None else []),
            ("Type", usage.type),
        ]
    )
