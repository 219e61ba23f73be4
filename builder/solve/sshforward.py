"""SshForward: an ssh agent's socket for one step: signing and listing pass, changing the agent does not.

Messages: draft-miller-ssh-agent, sections 3 and 5.1: a length of four bytes, then a type and its body.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading

from cache.wholefile import temp_name

_FAILURE = b"\0\0\0\1\5"
_REQUEST_IDENTITIES, _SIGN_REQUEST = 11, 13
_LIMIT = 256 << 10  # bytes of a message, as OpenSSH has it


class SshForward:
    """Listens on a socket of its own until close(). agent: path of the real one. path: to be mounted."""

    def __init__(self, agent: str, scratch: str, mode: int, uid: int, gid: int) -> None:
        self._agent = agent
        self._folder = temp_name(os.path.join(scratch, "ssh-"))
        os.mkdir(self._folder, 0o700)
        self.path = os.path.join(self._folder, "agent")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # A path of at most 108 bytes, however deep the store is (unix(7)).
            self._listener.bind(f"/proc/self/fd/{folder}/agent")
            os.chmod(self.path, mode)
            os.chown(self.path, uid, gid)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(folder)
        self._listener.listen(16)
        threading.Thread(target=self._accept, name="ssh-forward", daemon=True).start()

    def close(self) -> None:
        """No new connections; those that are open end with the step that holds them."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not listening yet
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="ssh-forward", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
                agent.connect(self._agent)
                while (message := _message(client)) is not None:
                    if message[4:5] and message[4] in (_REQUEST_IDENTITIES, _SIGN_REQUEST):
                        agent.sendall(message)
                        answer = _message(agent)
                        if answer is None:
                            return
                        client.sendall(answer)
                    else:
                        client.sendall(_FAILURE)
        except OSError:
            return  # either side hung up


def _message(stream: socket.socket) -> bytes | None:
    """One message with its length; None at the end, and for one that is too long."""
    head = _exactly(stream, 4)
    if head is None:
        return None
    size = struct.unpack(">I", head)[0]
    body = _exactly(stream, size) if size <= _LIMIT else None
    return None if body is None else head + body


def _exactly(stream: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            return None
        data += more
    return data
