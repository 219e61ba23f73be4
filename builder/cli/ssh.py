"""--ssh: agents of the client, or private keys that an agent of ours is given for the time of the build."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from builder.errors import SourceFault
from builder.graph.operation import GitSource, RemoteSource

if TYPE_CHECKING:
    from builder.cli.keyagent import KeyAgent


class SshSource(msgspec.Struct, frozen=True, kw_only=True):
    """id: its name in RUN --mount. Either socket or keys, absolute paths, is given."""

    id: str
    socket: str = ""
    keys: tuple[str, ...] = ()


def parse_ssh(text: str, environment: Mapping[str, str]) -> SshSource:
    """`default`, or `id[=socket|key[,key]]`. Raises SourceFault for what is not there."""
    id, _, rest = text.partition("=")
    paths = [os.path.abspath(path) for path in rest.split(",") if path]
    if not paths:
        agent = environment.get("SSH_AUTH_SOCK", "")
        if not agent:
            raise SourceFault(
                f"ssh {id or 'default'}: invalid empty ssh agent socket",
                "make sure SSH_AUTH_SOCK is set, or give a key",
            )
        paths = [agent]
    sockets = [path for path in paths if _is_socket(id, path)]
    if sockets and len(paths) > 1:
        raise SourceFault(f"ssh {id}: only one socket, or only keys", "want --ssh ID=SOCKET or --ssh ID=KEY[,KEY]")
    return SshSource(id=id or "default", socket=paths[0] if sockets else "", keys=() if sockets else tuple(paths))


def needed_agents(context: RemoteSource | None) -> tuple[str, ...]:
    """What --ssh is where it is not given: buildx forwards the agent to a context that is behind ssh."""
    behind = isinstance(context, GitSource) and not context.remote.startswith(("http://", "https://", "git://"))
    return ("default",) if behind else ()


def _is_socket(id: str, path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError as error:
        raise SourceFault(f"ssh {id}: cannot use {path}: {error.strerror}") from error


class SshAgents:
    """Starts an agent for keys when a step first asks for it; close() ends them. Safe for many threads."""

    def __init__(self, sources: Iterable[SshSource]) -> None:
        self._sources = {source.id: source for source in sources}
        self._lock = threading.Lock()
        self._started: dict[str, KeyAgent] = {}

    def socket(self, id: str) -> str | None:
        """The path of an agent's socket, None where there is none of this id. Raises SourceFault."""
        source = self._sources.get(id)
        if source is None or source.socket:
            return source.socket if source is not None else None
        with self._lock:
            if id not in self._started:
                from builder.cli.keyagent import KeyAgent

                self._started[id] = KeyAgent(source.id, source.keys)
            return self._started[id].path

    def close(self) -> None:
        for agent in self._started.values():
            agent.close()
        self._started.clear()
