"""`lapstrake policy …`: policies in Rego, tried and tested without a build."""

from __future__ import annotations

import click

from builder.cli.commands import Commands


@click.group(
    "policy",
    cls=Commands,
    modules={
        "eval": "builder.cli.policyeval",
        "json-schema": "builder.cli.policyschema",
        "test": "builder.cli.policytest",
    },
    summaries={
        "eval": "Evaluate a policy for a source.",
        "json-schema": "Print the JSON schema of a policy's input.",
        "test": "Run the tests of a policy.",
    },
)
def command() -> None:
    """Policies in Rego, tried without a build.

    \b
    Examples:
      lapstrake policy eval docker-image://debian:bookworm
      lapstrake policy eval --print --fields image.labels docker-image://debian:bookworm
      lapstrake policy test .
    """
