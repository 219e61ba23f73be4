"""git daemon and sshd on loopback, each connection a process of its own, as inetd runs them; and what they serve."""

from __future__ import annotations

import os
import pwd
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")


class Peer(socketserver.ThreadingTCPServer):
    """command: reads and writes a connection as its standard input and output. seen: how many connections came."""

    daemon_threads = True

    def __init__(self, command: Sequence[str | Path], log: Path, address: tuple[str, int]) -> None:
        self.command, self.log = command, log
        self.seen = 0
        super().__init__(address, _Connection)
        self.port = self.server_address[1]


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Peer)
        self.server.seen += 1
        environment = {"PATH": os.environ["PATH"], **_OPEN}
        with self.server.log.open("ab") as log:
            subprocess.run(
                self.server.command, stdin=self.request, stdout=self.request, stderr=log, env=environment, check=False
            )


_OPEN = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


@contextmanager
def listening(command: Sequence[str | Path], log: Path, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Peer]:
    with Peer(command, log, address) as peer:
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield peer
        finally:
            peer.shutdown()
            thread.join()


def daemon(served: Path) -> list[str | Path]:
    """The command of a git daemon for the bare repositories in a folder."""
    return ["git", "daemon", "--inetd", "--export-all", f"--base-path={served}", served]


def sshd(folder: Path, name: str = "host") -> list[str | Path]:
    """The command of an sshd that lets in whoever has the key `folder/user`; its own key is `folder/NAME`."""
    assert SSHD is not None
    folder.mkdir(exist_ok=True, mode=0o700)
    for key in (name, "user"):
        if not (folder / key).exists():
            made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / key]
            subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd of root will not start without
    (folder / f"{name}.conf").write_text(
        f"HostKey {folder / name}\nAuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitUserEnvironment no\nLogLevel VERBOSE\nSetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory "
        "GIT_CONFIG_VALUE_0=*\n"
    )
    return [SSHD, "-i", "-e", "-f", folder / f"{name}.conf"]


def user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


class Repository:
    """A repository with a working copy, `work/name`, in which commits are made at fixed times.

    served: folder of the bare one, which a server has at base. init: more words of git init.
    """

    def __init__(self, served: Path, work: Path, name: str = "app", *init: str, base: str = "") -> None:
        self.folder = work / name
        self.bare = served / f"{name}.git"
        self.url = f"{base}/{name}.git"
        self.folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *init)
        self.git("init", "-q", "--bare", "-b", "main", *init, str(self.bare))

    def git(self, *words: str) -> str:
        who = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@x",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@x",
        }
        when = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env={**os.environ, **who, **when, **quiet}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "m") -> str:
        """Write (None removes) and commit; gives the commit, which is served at once."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.push()
        return self.git("rev-parse", "HEAD")

    def push(self) -> None:
        self.git("push", "-q", "--force", "--mirror", str(self.bare))
