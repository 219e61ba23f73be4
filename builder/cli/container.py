"""What `lapstrake run` makes of an image's config and its own options: one command for the sandbox."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

import msgspec

from builder.errors import ImageFault, SourceFault
from builder.oci.config import RuntimeConfig
from builder.sandbox.spec import BindMount, TmpfsMount

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LARGEST = 1 << 20
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one `run`. env: NAME=value. entrypoint: None for the image's own; "" for none.

    hosts: names and addresses of --add-host. mounts: of -v and --tmpfs.
    """

    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    entrypoint: str | None = None
    terminal: bool = False
    hostname: str
    network: str = "host"
    hosts: tuple[tuple[str, str], ...] = ()
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    readonly: bool = False


def argv(config: RuntimeConfig, wish: Wish) -> tuple[str, ...]:
    """Entrypoint and command; ImageFault where there is neither."""
    if wish.entrypoint is not None:
        words = (*((wish.entrypoint,) if wish.entrypoint else ()), *wish.command)
    else:
        words = (*(config.entrypoint or ()), *(wish.command or config.cmd or ()))
    if not words:
        raise ImageFault("no command specified", "give one after the image's name")
    return words


def environment(config: RuntimeConfig, wish: Wish) -> tuple[str, ...]:
    """The image's, then what was asked for; HOME is the sandbox's to find."""
    found = {"PATH": _PATH, "HOSTNAME": wish.hostname}
    if wish.terminal:
        found["TERM"] = "xterm"
    for pair in (*config.env, *wish.env):
        name, _, value = pair.partition("=")
        found[name] = value
    return tuple(f"{name}={value}" for name, value in found.items())


def given_env(options: tuple[str, ...], files: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
    """Pairs of --env-file, then of -e; a name alone takes the value that it has here, if it has one."""
    lines = [line for path in files for line in _lines(path)]
    return tuple(pair for text in (*lines, *options) if (pair := _pair(text, env)))


def _pair(text: str, env: Mapping[str, str]) -> str:
    name, equals, _ = text.partition("=")
    if not name or any(c.isspace() for c in name):
        raise SourceFault(f"invalid environment variable: {text}", "want NAME=VALUE or NAME")
    if equals:
        return text
    return f"{name}={env[name]}" if name in env else ""


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceFault(f"open {path}: {(error.strerror or '').lower()}") from error
    if len(text) > _LARGEST:
        raise SourceFault(f"{path} is larger than {_LARGEST} bytes")
    return [line for raw in text.splitlines() if (line := raw.lstrip()) and not line.startswith("#")]


def hosts_file(wish: Wish) -> str:
    """/etc/hosts, as Docker begins it."""
    given = "".join(f"{address}\t{name}\n" for name, address in wish.hosts)
    return f"127.0.0.1\tlocalhost {wish.hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n{given}"


def check_name(name: str) -> None:
    """Docker's rule for the names of containers."""
    if name and not _NAME.match(name):
        raise SourceFault(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def new_hostname() -> str:
    """Twelve digits, as a container's id gives Docker."""
    return secrets.token_hex(6)
