"""Git repositories at a git daemon and behind sshd, as ADD sources and as contexts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.gitpeers import SSHD, Peer, Repository, daemon, listening, sshd, user
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(shutil.which("git") is None, reason="needs git")]
ADDRESS = f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 | 1}"
needs_sshd = pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="openssh-server is not installed")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "served").mkdir()
    made = Repository(tmp_path / "served", tmp_path / "work")
    made.commit({"README": "one\n", "sub/file": "inner\n"})
    return made


@pytest.fixture
def git_daemon(repository: Repository, tmp_path: Path) -> Iterator[str]:
    """The base of its URLs."""
    with listening(daemon(repository.bare.parent), tmp_path / "daemon.log") as peer:
        yield f"git://127.0.0.1:{peer.port}"


@contextmanager
def agent(key: Path, folder: Path) -> Iterator[str]:
    """The socket of an ssh-agent that holds a key."""
    socket = str(folder / "agent")
    running = subprocess.Popen(
        ["ssh-agent", "-a", socket, "sh", "-c", f"ssh-add -q {shlex.quote(str(key))} && echo ready && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert running.stdin is not None and running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    try:
        yield socket
    finally:
        running.stdin.close()
        running.wait()


class Ssh:
    """peer: its server. keys: folder with `user`, the key that is let in. home: of the user who builds."""

    def __init__(self, peer: Peer, keys: Path, home: Path, repository: Repository) -> None:
        self.peer, self.keys, self.home = peer, keys, home
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        self.url = f"ssh://{user()}@127.0.0.1:{peer.port}{repository.bare}"

    def environment(self, **more: str) -> dict[str, str]:
        return {"HOME": str(self.home), "SSH_AUTH_SOCK": "", **more}

    def known(self, key: str) -> None:
        """Write the user's own known_hosts: this is what the server's key is."""
        public = " ".join((self.keys / f"{key}.pub").read_text().split()[:2])
        (self.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.peer.port} {public}\n")


@pytest.fixture
def ssh(repository: Repository, tmp_path: Path) -> Iterator[Ssh]:
    keys = tmp_path / "keys"
    with listening(sshd(keys), tmp_path / "sshd.log") as peer:
        yield Ssh(peer, keys, tmp_path / "my home", repository)


def lines(tmp_path: Path, *text: str) -> Path:
    return folder(tmp_path / "context", {"Dockerfile": "\n".join(["FROM scratch", *text, ""])})


def test_a_git_daemon(lapstrake: Lapstrake, repository: Repository, git_daemon: str, tmp_path: Path) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.commit({"README": "two\n"})
    repository.git("tag", "-a", "v2", "-m", "t")
    repository.push()
    url = f"{git_daemon}/app.git"
    context = lines(
        tmp_path,
        f"ADD {url} /head/",
        f"ADD {url}#v2:sub /sub/",
        f"ADD {url}?ref={old} /old/",
        f"ADD --keep-git-dir {url}?branch=main /kept/",
        f"ADD {url}?branch=main&fetch-by-commit=1&checksum={old} /bycommit/",
    )
    lapstrake.built(context, "-o", str(tmp_path / "out"))
    read = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("README")}
    assert read == {"head/README": "two\n", "old/README": "one\n", "kept/README": "two\n", "bycommit/README": "one\n"}
    assert os.listdir(tmp_path / "out" / "sub") == ["file"]
    assert lapstrake.built(context).cached == 5
    done = lapstrake.refused(lines(tmp_path, f"ADD {git_daemon}/none.git /a/"))
    assert f"failed to fetch remote {git_daemon}/none.git: fatal: remote error: access denied" in done.err
    assert os.listdir(lapstrake.store / "tmp") == []


def test_a_git_daemon_whose_submodules_are_beside_it(
    lapstrake: Lapstrake, repository: Repository, git_daemon: str, tmp_path: Path
) -> None:
    inner = Repository(repository.bare.parent, tmp_path / "work", "inner")
    commit = inner.commit({"deep": "D"})
    (repository.folder / ".gitmodules").write_text('[submodule "x"]\n\tpath = lib/x\n\turl = ../inner.git\n')
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib/x")
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "s")
    repository.push()
    lapstrake.built(lines(tmp_path, f"ADD {git_daemon}/app.git /a/"), "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "a" / "lib" / "x" / "deep").read_text() == "D"


def test_files_dated_by_their_commit(
    lapstrake: Lapstrake, repository: Repository, git_daemon: str, tmp_path: Path
) -> None:
    context = lines(tmp_path, f"ADD {git_daemon}/app.git?mtime=commit /c/", f"ADD {git_daemon}/app.git /d/")
    lapstrake.built(context, "-o", f"type=tar,dest={tmp_path}/out.tar")
    listed = subprocess.run(
        ["tar", "--utc", "--full-time", "-tvf", tmp_path / "out.tar"], capture_output=True, text=True, check=True
    ).stdout
    dates = {line.split()[-1]: line.split()[3] for line in listed.splitlines()}
    assert dates["c/README"] == dates["c/sub/"] == "2023-11-14"
    assert dates["d/README"] == dates["d/sub/"] == "1980-01-02"
    again = lapstrake.built(lines(tmp_path, f"ADD {git_daemon}/app.git /c/"))
    assert again.cached == 0  # dates are part of what is copied


@needs_sshd
def test_ssh_with_a_key(lapstrake: Lapstrake, ssh: Ssh, tmp_path: Path) -> None:
    context = lines(tmp_path, f"ADD {ssh.url}#main:sub /a/")
    out = ("-o", str(tmp_path / "out"))
    lapstrake.built(context, f"--ssh=default={ssh.keys}/user", *out, env=ssh.environment())
    assert os.listdir(tmp_path / "out" / "a") == ["file"]
    kept = (lapstrake.store / "git" / "known_hosts").read_text()
    assert (ssh.keys / "host.pub").read_text().split()[1] in kept
    assert not (ssh.home / ".ssh" / "known_hosts").exists()  # the user's own file is read, and never written


@needs_sshd
def test_ssh_with_an_agent_that_is_forwarded(lapstrake: Lapstrake, ssh: Ssh, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short, agent(ssh.keys / "user", Path(short)) as socket:
        environment = ssh.environment(SSH_AUTH_SOCK=socket)
        context = f"{ssh.url}?branch=main&subdir=sub"
        line = lines(tmp_path, f"ADD {ssh.url} /a/")
        done = lapstrake.build(line, env=environment)
        assert "forward an agent with --ssh default" in done.err  # it is there, and not given unasked
        lapstrake.built(line, "--ssh=default", env=environment)
        # To a context it is given unasked, as buildx does.
        done = lapstrake.run("build", "-f", "none", context, env=environment)
        assert "failed to read dockerfile: open none: no such file" in done.err
        done = lapstrake.run("build", context, env=ssh.environment())
        assert "invalid empty ssh agent socket" in done.err


@needs_sshd
def test_ssh_with_the_wrong_key(lapstrake: Lapstrake, ssh: Ssh, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    context = lines(tmp_path, f"ADD {ssh.url} /a/")
    done = lapstrake.build(context, f"--ssh=default={tmp_path}/other", env=ssh.environment())
    assert done.status == 1
    assert f"failed to fetch remote {ssh.url}: " in done.err and "Permission denied (publickey)" in done.err


@needs_sshd
def test_a_host_is_who_the_user_or_the_store_knows(lapstrake: Lapstrake, ssh: Ssh, tmp_path: Path) -> None:
    context = lines(tmp_path, f"ADD {ssh.url} /a/")
    key = f"--ssh=default={ssh.keys}/user"
    other = sshd(ssh.keys, "other")
    ssh.known("other")
    done = lapstrake.build(context, key, env=ssh.environment())
    assert done.status == 1 and "Host key verification failed" in done.err
    ssh.known("host")
    lapstrake.built(context, key, env=ssh.environment())
    assert not (lapstrake.store / "git" / "known_hosts").exists()  # nothing new was learned
    (ssh.home / ".ssh" / "known_hosts").unlink()
    lapstrake.built(context, key, "--no-cache", env=ssh.environment())
    ssh.peer.command = other
    done = lapstrake.build(context, key, "--no-cache", env=ssh.environment())
    assert done.status == 1 and "Host key verification failed" in done.err


@needs_sshd
@pytest.mark.root
def test_the_short_form_of_ssh(lapstrake: Lapstrake, ssh: Ssh, repository: Repository, tmp_path: Path) -> None:
    """It has no port; so the server is at 22 of an address that nobody else uses."""
    try:
        listener = listening(ssh.peer.command, tmp_path / "sshd.log", (ADDRESS, 22))
        with listener:
            context = lines(tmp_path, f"ADD {user()}@{ADDRESS}:{repository.bare}#main:sub /a/")
            lapstrake.built(
                context, f"--ssh=default={ssh.keys}/user", "-o", str(tmp_path / "out"), env=ssh.environment()
            )
    except OSError as error:
        pytest.skip(f"port 22 is taken: {error}")
    assert os.listdir(tmp_path / "out" / "a") == ["file"]
