"""`lapstrake image …`: the image commands by the names that Docker groups them under."""

from __future__ import annotations

import click

from builder.cli.commands import Commands

_NAMES = {
    "history": "history",
    "import": "import",
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
_MODULES = {"import": "importimage", "prune": "imageprune"}


@click.group(
    "image",
    cls=Commands,
    modules={name: f"builder.cli.{_MODULES.get(word, word)}" for name, word in _NAMES.items()},
    summaries={name: f"As lapstrake {word}." for name, word in _NAMES.items()}
    | {"prune": "Remove images without a name, or all that nobody uses."},
)
def command() -> None:
    """Commands for images, by the names that Docker groups them under.

    \b
    Example:
      lapstrake image ls --digests
    """
