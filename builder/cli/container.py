"""What `lapstrake run` makes of an image's config and its own options: one command for the sandbox."""

from __future__ import annotations

import codecs
import re
import secrets
from collections.abc import Mapping

import msgspec

from builder.errors import ImageFault, SourceFault
from builder.graph.operation import Ulimit
from builder.oci.config import RuntimeConfig
from builder.sandbox.spec import DEFAULT_SHM_SIZE, BindMount, TmpfsMount

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LARGEST = 1 << 20
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one `run`. env: NAME=value, or NAME for what the image should not set. entrypoint: None for the
    image's own; "" for none. hosts: names and addresses of --add-host. mounts: of -v, --tmpfs and --mount.
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
    shm_size: int = DEFAULT_SHM_SIZE
    ulimits: tuple[Ulimit, ...] = ()


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
        name, equals, value = pair.partition("=")
        if equals:
            found[name] = value
        else:
            found.pop(name, None)
    return tuple(f"{name}={value}" for name, value in found.items())


def given_env(options: tuple[str, ...], files: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
    """Pairs of --env-file, then of -e. A name alone takes the value that it has here; without one it says nothing in a
    file, and with -e stays alone: the image's own is not wanted.
    """
    lines = [line for path in files for line in _lines(path) if "=" in line or line in env]
    for text in options:
        if not text.partition("=")[0]:
            raise SourceFault(f"invalid environment variable: {text}", "want NAME=VALUE or NAME")
    return tuple(text if "=" in text or text not in env else f"{text}={env[text]}" for text in (*lines, *options))


def _lines(path: str) -> list[str]:
    """Those of an --env-file that say something (docker/cli, pkg/kvfile)."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceFault(f"open {path}: {(error.strerror or '').lower()}") from error
    if len(data) > _LARGEST:
        raise SourceFault(f"{path} is larger than {_LARGEST} bytes")
    found = []
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode().lstrip()
        except UnicodeDecodeError as error:
            raise SourceFault(f"invalid env file ({path}): invalid utf8 bytes at line {number}") from error
        name = line.partition("=")[0]
        if not line or line.startswith("#"):
            continue
        if not name:
            raise SourceFault(f"invalid env file ({path}): no variable name on line '{line}'")
        if any(c.isspace() for c in name):
            raise SourceFault(f"invalid env file ({path}): variable '{name}' contains whitespaces")
        found.append(line)
    return found


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
