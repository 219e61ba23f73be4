"""`lapstrake policy json-schema`: what a policy's input is made of."""

from __future__ import annotations

import click

_HELP = """Print the JSON schema of a policy's input, which is `input` in Rego.

\b
Example:
  lapstrake policy json-schema > input.schema.json
"""


@click.command("json-schema", help=_HELP)
def command() -> None:
    import msgspec

    from builder.cli.calls import as_json
    from builder.policy.input import Input

    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Input)}
    click.echo(as_json(schema), nl=False)
