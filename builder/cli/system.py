"""`lapstrake system …`: commands that Docker groups under this name."""

from __future__ import annotations

import click

from builder.cli.commands import Commands


@click.group(
    "system",
    cls=Commands,
    modules={"df": "builder.cli.df"},
    summaries={"df": "Show how much disk images and the build cache take."},
)
def command() -> None:
    """Commands about all of the store.

    \b
    Example:
      lapstrake system df
    """
