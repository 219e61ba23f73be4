"""`lapstrake context …`: what a build context holds."""

from __future__ import annotations

import click

from builder.cli.commands import Commands


@click.group(
    "context",
    cls=Commands,
    modules={"ls": "builder.cli.contextls"},
    summaries={"ls": "List what a build context holds."},
)
def command() -> None:
    """Build contexts, as builds see them.

    \b
    Example:
      lapstrake context ls .
    """
