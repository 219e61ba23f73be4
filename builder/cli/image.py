"""`lapstrake image …`: the image commands by the names that Docker groups them under."""

from __future__ import annotations

import click

from builder.cli.commands import Commands

_NAMES = {
    "history": "history",
    "inspect": "inspect",
    "load": "load",
    "ls": "images",
    "prune": "prune",
    "pull": "pull",
    "push": "push",
    "rm": "rmi",
    "save": "save",
    "tag": "tag",
}


@click.group(
    "image",
    cls=Commands,
    modules={name: f"builder.cli.{module}" for name, module in _NAMES.items()},
    summaries={name: f"As lapstrake {module}." for name, module in _NAMES.items()},
)
def command() -> None:
    """Commands for images, by the names that Docker groups them under."""
