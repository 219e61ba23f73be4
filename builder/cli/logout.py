"""`lapstrake logout`: forget what login kept."""

from __future__ import annotations

import os

import click

_HELP = """Log out from a registry (default: Docker Hub).

\b
Example:
  lapstrake logout registry.example.com:5000
"""


@click.command("logout", help=_HELP)
@click.argument("server", metavar="[SERVER]", default="")
def command(server: str) -> None:
    from builder.cli.registries import credentials
    from builder.registry.names import canonical

    registry = canonical(server)
    known = credentials(os.environ).forget(registry)
    click.echo(f"Removing login credentials for {registry}" if known else f"Not logged in to {registry}")
