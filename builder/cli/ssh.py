"""--ssh: agents of the client, or private keys that an agent of ours is given for the time of the build."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from builder.errors import SourceFault


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
        self._started: dict[str, _KeyAgent] = {}

    def socket(self, id: str) -> str | None:
        """The path of an agent's socket, None where there is none of this id. Raises SourceFault."""
        source = self._sources.get(id)
        if source is None or source.socket:
            return source.socket if source is not None else None
        with self._lock:
            if id not in self._started:
                self._started[id] = _KeyAgent(source)
            return self._started[id].path

    def close(self) -> None:
        for agent in self._started.values():
            agent.close()
        self._started.clear()


class _KeyAgent:
    """An ssh-agent(1) that ends with us: it is told to run a program, which runs until a pipe from us is closed."""

    def __init__(self, source: SshSource) -> None:
        self._folder = tempfile.mkdtemp(prefix="lapstrake-")  # short: a socket's path has 108 bytes at most (unix(7))
        self.path = os.path.join(self._folder, "agent")
        self._pid = 0
        command = ["ssh-agent", "-a", self.path, "sh", "-c", "echo $SSH_AGENT_PID && exec cat"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            os.rmdir(self._folder)
            hint = "install openssh-client, or forward an agent's socket"
            raise SourceFault(f"ssh {source.id}: cannot start ssh-agent: {error.strerror}", hint) from error
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline().strip()
            self._pid = int(line) if line.isdigit() else 0
            self._add(source)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, source: SshSource) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "SSH_AUTH_SOCK": self.path}
        done = subprocess.run(
            ["ssh-add", "-q", *source.keys],
            env={**environment, "SSH_ASKPASS_REQUIRE": "never"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # away from the terminal, where it would ask for a passphrase
            check=False,
        )
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise SourceFault(
                f"ssh {source.id}: cannot use the key: {lines[-1] if lines else 'ssh-add failed'}",
                "a key with a passphrase goes into an agent of yours, whose socket is forwarded",
            )
