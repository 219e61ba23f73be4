"""`lapstrake manifest …`: manifests and indexes as they are."""

from __future__ import annotations

import click

from builder.cli.commands import Commands


@click.group(
    "manifest",
    cls=Commands,
    modules={"inspect": "builder.cli.manifestinspect"},
    summaries={"inspect": "Show a manifest or an index."},
)
def command() -> None:
    """Manifests and indexes, as they are stored here or in a registry.

    \b
    Example:
      lapstrake manifest inspect debian:bookworm-slim
    """
