"""The options of `lapstrake run`, and what was given of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from builder.cli.runimage import POLICIES
from builder.errors import SourceFault

F = TypeVar("F", bound=Callable[..., Any])

NOT_STARTED = 125  # the exit status where the command was not started, as Docker has it


class RunFlags(msgspec.Struct, frozen=True, kw_only=True):
    """As click gives them: nothing is read yet; what may be given several times is in the order of the command line."""

    env: tuple[str, ...]
    env_files: tuple[str, ...]
    volumes: tuple[str, ...]
    tmpfs: tuple[str, ...]
    mounts: tuple[str, ...]
    shm_size: str
    ulimits: tuple[str, ...]
    readonly: bool
    workdir: str
    user: str
    entrypoint: str | None
    network: str
    hosts: tuple[str, ...]
    hostname: str
    label: str
    interactive: bool
    terminal: bool
    policy: str
    quiet: bool
    platform: str


def run_options(command: F) -> F:
    """Adds them; the command gets the fields of RunFlags."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _refused(why: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """For options of Docker's that would have to do what cannot be done here."""

    def refuse(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and value != "no":
            fault = SourceFault(f"{parameter.opts[0]} is not supported: {why}", "leave it out")
            fault.exit_code = NOT_STARTED
            raise fault

    return refuse


_NO_NETWORK = _refused("the command shares this machine's network, and what it listens on is reached as it is")
_NO_DAEMON = _refused("there is no daemon that the command could be left with")
_NO_MORE = _refused("the sandbox gives no command more than a build step has")


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--rm", is_flag=True, expose_value=False, help="Always so: nothing is left."),
    click.option("-e", "--env", "env", multiple=True, metavar="NAME[=VALUE]", help="Set an environment variable."),
    click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Set those of a file."),
    click.option(
        "-v", "--volume", "volumes", multiple=True, metavar="SRC:DST[:ro]", help="Show a file or folder inside."
    ),
    click.option("--tmpfs", "tmpfs", multiple=True, metavar="DST[:OPTIONS]", help="An empty folder in memory."),
    click.option(
        "--mount", "mounts", multiple=True, metavar="FIELDS", help="The same, as type=bind|tmpfs,src=SRC,dst=DST[,ro]."
    ),
    click.option("--shm-size", default="", metavar="BYTES", help="Of /dev/shm (default: 64m)."),
    click.option(
        "--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="Limit of the command's processes."
    ),
    click.option("--read-only", "readonly", is_flag=True, help="Only volumes and folders in memory can be written to."),
    click.option("-w", "--workdir", default="", metavar="FOLDER", help="Working directory."),
    click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User by name or number."),
    click.option("--entrypoint", default=None, metavar="WORD", help="Instead of the image's entrypoint and command."),
    click.option(
        "--network", type=click.Choice(["host", "none"]), default="host", show_default=True, help="Which one."
    ),
    click.option("--add-host", "hosts", multiple=True, metavar="NAME:IP", help="Add a line to /etc/hosts."),
    click.option("-h", "--hostname", default="", metavar="NAME", help="Name of the machine inside."),
    click.option(
        "--name", "label", default="", metavar="NAME", help="Taken; nothing here is found by a container's name."
    ),
    click.option("-i", "--interactive", is_flag=True, help="Hand on standard input."),
    click.option("-t", "--tty", "terminal", is_flag=True, help="Give the command a terminal."),
    click.option("--init", is_flag=True, expose_value=False, help="Always so: zombies are reaped."),
    click.option(
        "--pull",
        "policy",
        type=click.Choice(POLICIES),
        default="missing",
        show_default=True,
        help="Whether to pull first.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing of a pull."),
    click.option(
        "--platform",
        default=lambda: os.environ.get("DOCKER_DEFAULT_PLATFORM", ""),
        metavar="OS/ARCH[/VARIANT]",
        help="Which image to take (default: this machine's).",
    ),
    click.option("-p", "--publish", multiple=True, hidden=True, expose_value=False, callback=_NO_NETWORK),
    click.option("-P", "--publish-all", is_flag=True, hidden=True, expose_value=False, callback=_NO_NETWORK),
    click.option("-d", "--detach", is_flag=True, hidden=True, expose_value=False, callback=_NO_DAEMON),
    click.option("--restart", hidden=True, expose_value=False, callback=_NO_DAEMON),
    click.option("--privileged", is_flag=True, hidden=True, expose_value=False, callback=_NO_MORE),
    click.option("--cap-add", multiple=True, hidden=True, expose_value=False, callback=_NO_MORE),
    click.option("--device", multiple=True, hidden=True, expose_value=False, callback=_NO_MORE),
)
