"""`lapstrake cache …`: parts of the build cache."""

from __future__ import annotations

import click

from builder.cli.commands import Commands


@click.group(
    "cache",
    cls=Commands,
    modules={"mounts": "builder.cli.cachemounts"},
    summaries={"mounts": "Caches of RUN --mount=type=cache."},
)
def command() -> None:
    """Commands for parts of the build cache.

    \b
    Example:
      lapstrake cache mounts ls
    """
