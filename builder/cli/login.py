"""`lapstrake login`: a registry is asked whether it takes the password, which is then kept where Docker keeps it."""

from __future__ import annotations

import os
import sys

import click

from builder.errors import BuildFault

_HELP = """Log in to a registry (default: Docker Hub).

\b
Examples:
  lapstrake login registry.example.com:5000
  pass show registry | lapstrake login -u me --password-stdin registry.example.com:5000
"""


@click.command("login", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("server", metavar="[SERVER]", default="")
@click.option("-u", "--username", default="", help="User name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the standard input.")
def command(server: str, username: str, password_stdin: bool) -> None:
    from builder.cli.registries import credentials, opened_registries
    from builder.registry.auth import Login
    from builder.registry.names import canonical

    registry = canonical(server)
    if password_stdin and not username:
        raise BuildFault("Must provide --username with --password-stdin")
    if not password_stdin and not sys.stdin.isatty():
        raise BuildFault("Cannot perform an interactive login from a non TTY device", "use --password-stdin")
    username = username or click.prompt("Username", err=True)
    if password_stdin:
        password = sys.stdin.read(1 << 16).rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, err=True)
    login = Login(username, password)
    with opened_registries(os.environ) as registries:
        identity = registries.check(registry, login)
    credentials(os.environ).save(registry, Login(username, "", identity) if identity else login)
    click.echo("Login Succeeded")
