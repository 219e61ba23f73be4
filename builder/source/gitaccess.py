"""GitAccess: how one remote is reached: its URL without a password, settings that hold credentials, ssh."""

from __future__ import annotations

import base64
import os
import re
import shlex
import urllib.parse
from collections.abc import Callable, Sequence

import msgspec

from builder.errors import SourceFault
from builder.graph.gitref import redacted

Secrets = Callable[[str], bytes | None]
"""The value of a secret by its id, None where there is none."""

Agents = Callable[[str], str | None]
"""The socket of an ssh agent by its id, None where none is forwarded."""

_SCP = re.compile(r"\w[\w-]*@[a-zA-Z0-9][a-zA-Z0-9.-]*:(?!:)", re.ASCII)
_SHARED = (
    "https://github.com/",
    "https://www.github.com/",
)  # one token for all of a host's repositories, as in BuildKit


class GitAccess(msgspec.Struct, frozen=True):
    """url: as git is given it. shown: for people. config: settings for git. environment: variables for it."""

    url: str
    shown: str
    config: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


def access(remote: str, secrets: Secrets, agents: Agents, known_hosts: Sequence[str], main: str = "") -> GitAccess:
    """How to reach a remote. Raises SourceFault for a URL that git could take for an option.

    known_hosts: files with keys of ssh hosts; new ones are written to the first. main: the remote whose submodule this
    one is; secrets without a host belong to that one alone.
    """
    shown = redacted(remote)
    if remote.startswith("-") or any(ord(ch) < 32 for ch in remote) or not ("://" in remote or _SCP.match(remote)):
        raise SourceFault(f"invalid git remote {shown!r}")
    scheme = remote.partition("://")[0].lower() if "://" in remote else "ssh"
    if scheme not in ("http", "https", "ssh", "git"):
        raise SourceFault(f"git remote {shown}: {scheme} is not allowed", "it is http, https, ssh or git")
    if scheme == "ssh":
        return GitAccess(remote, shown, (), tuple(_ssh(agents, known_hosts).items()))
    if scheme == "git":
        return GitAccess(remote, shown)
    try:
        parts = urllib.parse.urlsplit(remote)
    except ValueError:
        raise SourceFault(f"invalid git remote {shown!r}") from None
    user, at, host = parts.netloc.rpartition("@")
    url = urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
    scope = next((prefix for prefix in _SHARED if url.startswith(prefix)), url)
    own = not main or (scope in _SHARED and main.startswith(scope))
    header = _secret_header(host, secrets, own)
    if header is None and at:
        login = urllib.parse.unquote(user if ":" in user else user + ":")
        header = f"basic {base64.b64encode(login.encode()).decode()}"
    if header is None:
        return GitAccess(url, shown)
    # git keeps the header when it is redirected, to wherever that is.
    return GitAccess(
        url, shown, ((f"http.{scope}.extraheader", f"Authorization: {header}"), ("http.followRedirects", "false"))
    )


def _secret_header(host: str, secrets: Secrets, own: bool) -> str | None:
    names = [
        f"GIT_AUTH_HEADER.{host}",
        f"GIT_AUTH_TOKEN.{host}",
        *(("GIT_AUTH_HEADER", "GIT_AUTH_TOKEN") if own else ()),
    ]
    for name in names:
        value = secrets(name)
        if value is None:
            continue
        text = value.strip()
        if any(byte < 32 for byte in text):
            raise SourceFault(f"secret {name} has more than one line, which no header can")
        if name.startswith("GIT_AUTH_TOKEN"):
            return f"basic {base64.b64encode(b'x-access-token:' + text).decode()}"
        return os.fsdecode(text)
    return None


def _ssh(agents: Agents, known_hosts: Sequence[str]) -> dict[str, str]:
    """Only a forwarded agent's keys; a host that is new is believed once, and its key kept."""
    # %d would be the home of whom the password file says that we are, which in a user namespace is root.
    files = " ".join(f'"{path.replace("%", "%%")}"' for path in known_hosts)
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "IdentityFile": os.devnull,
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": files,
    }
    words = ["ssh", "-F", os.devnull, *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    socket = agents("default")
    return {"GIT_SSH_COMMAND": shlex.join(words), **({"SSH_AUTH_SOCK": socket} if socket else {})}
