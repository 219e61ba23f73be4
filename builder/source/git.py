"""Git: the host's git program, run so that no configuration, hook or prompt but ours has a say in what it does."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from builder.errors import Canceled, SourceFault

_PROTOCOLS = "http:https:ssh:git"  # never file or ext, which a hostile repository could name (git(1))
_OUTPUT = 64 << 20  # bytes that we are willing to hold of what git says
_ERRORS = 64 << 10
_TICK = 0.2  # seconds until a cancelled command is ended
_NO_CONNECTION = "fatal: Could not read from remote repository."
_CONFIG = {
    "advice.detachedHead": "false",
    "core.attributesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # a pack is there when it is whole, single objects come one by one
    "gc.auto": "0",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
    "init.defaultBranch": "master",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "safe.directory": "*",
    "submodule.recurse": "false",
}


class GitFailed(SourceFault):
    """git ended with an error. words: what it said, one line."""

    def __init__(self, message: str, words: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.words = words


class Git:
    """environment: where PATH and proxies are taken from. cancel() ends what runs; safe for many threads.

    limit: bytes of one file that git writes, a pack for one.
    """

    def __init__(self, environment: Mapping[str, str], limit: int = resource.RLIM_INFINITY) -> None:
        self._limit = limit
        proxies = {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}
        self._environment = {
            "PATH": environment.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            **proxies,
        }
        self._canceled = threading.Event()

    def cancel(self) -> None:
        self._canceled.set()

    def run(
        self,
        *words: str,
        what: str,
        config: Sequence[tuple[str, str]] = (),
        environment: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        held: Sequence[int] = (),
    ) -> bytes:
        """What git prints. Raises GitFailed, SourceFault where there is no git or it takes too long, Canceled.

        what: begin of the error's text. config: beside ours, by the environment, where secrets are not seen in a list
        of processes. timeout: seconds. held: descriptors of locks, which last as long as git does, whatever ends us.
        """
        if self._canceled.is_set():
            raise Canceled("canceled")
        try:
            process = subprocess.Popen(
                ["git", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._environment, **_as_environment(config), **(environment or {})},
                start_new_session=True,  # away from the terminal; and all of it can be ended
                pass_fds=tuple(held),
                umask=0o022,
                cwd="/",
            )
        except FileNotFoundError:
            raise SourceFault(f"{what}: there is no git on this machine", "install git") from None
        except OSError as error:
            raise SourceFault(f"{what}: cannot run git: {error.strerror}") from error
        with process:
            try:
                with suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self._limit, self._limit))
                out, err = self._read(process, what, timeout)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            said = _words(err)
            raise GitFailed(f"{what}: {said}", said)
        return out

    def _read(self, process: subprocess.Popen[bytes], what: str, timeout: float) -> tuple[bytes, bytes]:
        out, err = bytearray(), bytearray()
        end = time.monotonic() + timeout
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, out)
            selector.register(process.stderr, selectors.EVENT_READ, err)
            while selector.get_map():
                for key, _ in selector.select(_TICK):
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                    key.data.extend(data)
                del err[:-_ERRORS]
                if self._canceled.is_set():
                    raise Canceled("canceled")
                if len(out) > _OUTPUT:
                    raise SourceFault(f"{what}: git prints more than {_OUTPUT} bytes")
                if time.monotonic() > end:
                    raise SourceFault(f"{what}: no answer within {timeout:.0f} seconds")
        process.wait()
        return bytes(out), bytes(err)


def _as_environment(config: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings as GIT_CONFIG_COUNT and its fellows have them (git-config(1), ENVIRONMENT)."""
    pairs = [*_CONFIG.items(), *config]
    found = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (name, value) in enumerate(pairs):
        found[f"GIT_CONFIG_KEY_{number}"], found[f"GIT_CONFIG_VALUE_{number}"] = name, value
    return found


def _words(err: bytes) -> str:
    """The line that says why: ssh's where git only says that it failed, the first fatal or error, else the last."""
    lines = [line.strip() for line in err.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    if _NO_CONNECTION in lines[1:]:
        return lines[lines.index(_NO_CONNECTION) - 1]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote: fatal:", "ssh:"))]
    return (told or lines[-1:] or ["git failed"])[0]
