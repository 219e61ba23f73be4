"""What `lapstrake run` makes of an image's config and its own options: one command for the sandbox."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

import msgspec

from builder.errors import ImageFault, SourceFault
from builder.oci.config import RuntimeConfig
from builder.sandbox.spec import BindMount

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LARGEST = 1 << 20


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one `run`. env: NAME=value. entrypoint: None for the image's own; "" for none."""

    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    entrypoint: str | None = None
    terminal: bool = False


def argv(config: RuntimeConfig, wish: Wish) -> tuple[str, ...]:
    """Entrypoint and command; ImageFault where there is neither."""
    if wish.entrypoint is not None:
        words = (*((wish.entrypoint,) if wish.entrypoint else ()), *wish.command)
    else:
        words = (*(config.entrypoint or ()), *(wish.command or config.cmd or ()))
    if not words:
        raise ImageFault("no command specified", "give one after the image's name")
    return words


def environment(config: RuntimeConfig, wish: Wish, hostname: str) -> tuple[str, ...]:
    """The image's, then what was asked for; HOME is the sandbox's to find."""
    found = {"PATH": _PATH, "HOSTNAME": hostname}
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


def bind(text: str) -> BindMount:
    """`SRC:DST[:ro|rw]`: a file or folder of this machine, links in its name followed, as whoever typed it trusts."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not target.startswith("/") or mode not in ("", "ro", "rw"):
        raise SourceFault(f'invalid volume specification: "{text}"', "want SRC:DST[:ro], with an absolute DST")
    if "/" not in source and source not in (".", ".."):
        raise SourceFault(f"{source} is the name of a volume, and there are only folders here", "write ./NAME for one")
    path = os.path.realpath(source)
    if not os.path.exists(path):
        raise SourceFault(f"bind source path does not exist: {source}")
    return BindMount(path, target, readonly=mode == "ro")


def new_hostname() -> str:
    """Twelve digits, as a container's id gives Docker."""
    return secrets.token_hex(6)
