"""KeyAgent: an agent of ours that holds the private keys of one --ssh as long as a build runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress

from builder.errors import SourceFault

_LIMIT = 1 << 20  # bytes of a key


class KeyAgent:
    """An ssh-agent(1) that ends with us: it is told to run a program, which runs until a pipe from us is closed."""

    def __init__(self, id: str, keys: tuple[str, ...]) -> None:
        """id: of the --ssh it is for. keys: files. Raises SourceFault."""
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
            raise SourceFault(f"ssh {id}: cannot start ssh-agent: {error.strerror}", hint) from error
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline().strip()
            self._pid = int(line) if line.isdigit() else 0
            for key in keys:
                self._add(id, key)
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

    def _add(self, id: str, key: str) -> None:
        """By way of the standard input: ssh-add(1) refuses files that others may read, which a CI job's often are."""
        try:
            with open(key, "rb") as file:
                text = file.read(_LIMIT)
        except OSError as error:
            raise SourceFault(f"ssh {id}: cannot use {key}: {error.strerror}") from error
        environment = {"PATH": os.environ.get("PATH", os.defpath), "SSH_AUTH_SOCK": self.path}
        done = subprocess.run(
            ["ssh-add", "-q", "-"],
            env={**environment, "SSH_ASKPASS_REQUIRE": "never"},
            input=text,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # away from the terminal, where it would ask for a passphrase
            check=False,
        )
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["ssh-add failed"]
            reason = "it has a passphrase" if "passphrase" in lines[-1] else lines[-1]
            raise SourceFault(
                f"ssh {id}: cannot use {key}: {reason}",
                "a key with a passphrase goes into an agent of yours, whose socket is forwarded",
            )
