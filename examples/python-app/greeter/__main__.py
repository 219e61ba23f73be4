"""Greets whoever is named on the command line."""

import click


@click.command()
@click.argument("name")
def greet(name: str) -> None:
    click.echo(f"Hello, {name}!")


greet()
