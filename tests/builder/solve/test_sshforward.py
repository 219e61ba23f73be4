from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli.ssh import SshAgents, parse_ssh
from builder.errors import SourceFault
from builder.solve.sshforward import SshForward

needs_ssh = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="openssh-client is not installed")


class FakeAgent:
    """Answers each message with its own type plus 1, and remembers the types."""

    def __init__(self, path: str) -> None:
        self.path, self.seen = path, list[int]()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            stream, _ = self._listener.accept()
            with stream:
                while head := stream.recv(4):
                    body = stream.recv(struct.unpack(">I", head)[0])
                    self.seen.append(body[0])
                    stream.sendall(struct.pack(">IB", 1, body[0] + 1))


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeAgent:
    monkeypatch.chdir(tmp_path)  # a short path for the socket
    return FakeAgent("real")


@pytest.fixture
def forward(agent: FakeAgent, tmp_path: Path) -> Iterator[SshForward]:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    one = SshForward(agent.path, str(deep), 0o640, os.geteuid(), os.getegid())
    yield one
    one.close()
    assert os.listdir(deep) == []


def ask(forward: SshForward, message: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as stream:
        folder = os.open(os.path.dirname(forward.path), os.O_RDONLY)
        try:
            stream.connect(f"/proc/self/fd/{folder}/agent")
        finally:
            os.close(folder)
        stream.settimeout(10)
        stream.sendall(message)
        try:
            return stream.recv(100)
        except ConnectionResetError:  # it hung up with bytes of ours unread
            return b""


def test_listing_and_signing_pass_and_nothing_else(agent: FakeAgent, forward: SshForward) -> None:
    assert stat.S_IMODE(os.stat(forward.path).st_mode) == 0o640
    for kind, answer in ((11, 12), (13, 14), (17, 5), (18, 5), (19, 5), (22, 5), (27, 5)):
        assert ask(forward, struct.pack(">IB", 1, kind)) == struct.pack(">IB", 1, answer)
    assert agent.seen == [11, 13]


@pytest.mark.parametrize("message", [struct.pack(">I", 1 << 30), struct.pack(">IB", (256 << 10) + 1, 11)])
def test_messages_that_are_too_long_end_the_connection(forward: SshForward, message: bytes) -> None:
    assert ask(forward, message) == b""


def test_an_empty_message(forward: SshForward) -> None:
    assert ask(forward, struct.pack(">I", 0)) == struct.pack(">IB", 1, 5)


@needs_ssh
def test_keys_go_into_an_agent_that_ends(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", str(key)], check=True)
    key.chmod(0o666)  # as a CI job's files are
    agents = SshAgents([parse_ssh(f"k={key}", {})])
    path = agents.socket("k")
    assert path is not None
    listed = subprocess.run(
        ["ssh-add", "-l"], env={**os.environ, "SSH_AUTH_SOCK": path}, capture_output=True, check=True
    )
    assert b" me " in listed.stdout
    assert agents.socket("other") is None
    agents.close()
    assert not os.path.exists(os.path.dirname(path))


@needs_ssh
def test_what_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    (tmp_path / "key").chmod(0o600)
    agents = SshAgents([parse_ssh(f"k={tmp_path / 'key'}", {})])
    with pytest.raises(SourceFault, match="cannot use "):
        agents.socket("k")
    agents.close()


@needs_ssh
def test_a_key_with_a_passphrase(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "words", "-f", str(key)], check=True)
    agents = SshAgents([parse_ssh(f"k={key}", {})])
    with pytest.raises(SourceFault, match="it has a passphrase") as caught:
        agents.socket("k")
    assert str(key) in caught.value.message
    agents.close()


def test_sources(agent: FakeAgent, tmp_path: Path) -> None:
    real = str(tmp_path / "real")
    assert parse_ssh("default", {"SSH_AUTH_SOCK": real}).socket == real
    assert parse_ssh("x=real", {}).socket == real
    (tmp_path / "k").write_text("")
    assert parse_ssh("x=k", {}).keys == (str(tmp_path / "k"),)
    for text in ("default", "x=gone", "x=real,k"):
        with pytest.raises(SourceFault):
            parse_ssh(text, {})
