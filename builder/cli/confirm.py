"""The question before something is deleted."""

from __future__ import annotations

import click

from builder.errors import Canceled


def confirm(question: str) -> None:
    """Go on only after a yes. Raises Canceled."""
    try:
        agreed = click.confirm(question)
    except click.Abort as error:  # nobody is there to answer
        click.echo()
        raise Canceled("canceled", "--force does not ask") from error
    if not agreed:
        raise Canceled("canceled")
