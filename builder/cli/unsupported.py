"""Options of `docker buildx build` that change nothing here, or that ask for what there is not: told, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cache.errors import Fault

F = TypeVar("F", bound=Callable[..., Any])

_META = "unsupported"
_SWITCHES = ("--compress", "--rm", "--force-rm")  # of docker's older builder: there is nothing to compress or remove
_NO = ("false", "0", "f")
_IDLE = {
    "isolation": "isolation flag is deprecated with BuildKit.",
    "security-opt": 'security-opt flag is deprecated. "RUN --security=insecure" should be used with BuildKit.',
    "squash": "experimental flag squash is removed with BuildKit. You should squash inside build using a multi-stage"
    " Dockerfile for efficiency.",
}  # what is said of options that do nothing, in buildx's words


def unsupported_options(command: F) -> F:
    """Adds them, hidden from --help; check_unsupported() looks at what was given."""
    for name in _SWITCHES:
        command = click.option(name, is_flag=True, hidden=True, expose_value=False)(command)
    for name in ("builder", "provenance", "sbom", "isolation"):
        command = click.option(f"--{name}", hidden=True, expose_value=False, callback=_keep)(command)
    command = click.option("--squash", is_flag=True, hidden=True, expose_value=False, callback=_keep)(command)
    for name in ("attest", "security-opt"):
        command = click.option(f"--{name}", multiple=True, hidden=True, expose_value=False, callback=_keep)(command)
    return command


def check_unsupported(ctx: click.Context) -> None:
    """Warns of options that do nothing. Raises Fault for a value that would have to do something."""
    given: dict[str, Any] = ctx.meta.get(_META, {})
    for name, text in _IDLE.items():
        if given.get(name.replace("-", "_")):
            click.echo(f"WARNING: {text}", err=True)
    builder = given.get("builder") or "default"
    if builder != "default":
        raise Fault(f'no builder "{builder}" found', "lapstrake has one builder, itself: drop --builder")
    for name in ("provenance", "sbom"):
        value = given.get(name) or "false"
        if value.lower() not in _NO:
            raise _attestation(f"--{name}={value}")
    for value in given.get("attest") or ():
        fields = dict(field.partition("=")[::2] for field in value.split(","))
        if fields.get("disabled", "false").lower() not in ("true", "1", "t"):
            raise _attestation(f"--attest={value}")


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    ctx.meta.setdefault(_META, {})[parameter.name] = value


def _attestation(option: str) -> Fault:
    return Fault(f"{option} is not supported: lapstrake makes no attestations", "drop the option, or set it to false")
