"""A relay on loopback: bytes go to another port and back; connections end when a test wants them to. Also a proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STEP = 4096


class Relay:
    """down, up: after how many bytes, of all that went to the client, to the server, the connection that they come by
    is cut. asked: the names that a proxy was asked for.
    """

    def __init__(self, target: str, proxy: bool = False) -> None:
        """target: `host:port`. proxy: whether clients begin with CONNECT; all names are then the target."""
        name, _, port = target.rpartition(":")
        self._target, self._proxy = (name, int(port)), proxy
        self.down: list[int] = []
        self.up: list[int] = []
        self.asked: list[str] = []
        self._went = {id(self.down): 0, id(self.up): 0}
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def came(self) -> int:
        """Bytes that went to clients so far."""
        return self._went[id(self.down)]

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connection(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            if self._proxy:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += client.recv(1)
                self.asked.append(head.split(b" ")[1].decode())
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self._carry, args=(server, client, self.down), daemon=True)
            back.start()
            self._carry(client, server, self.up)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket, marks: list[int]) -> None:
        """Until the end, or until a mark is reached: then both directions are cut."""
        with suppress(OSError):
            while data := source.recv(_STEP):
                left = marks[0] - self._went[id(marks)] if marks else len(data) + 1
                data = data[: max(left, 0)]
                self._went[id(marks)] += len(data)
                sink.sendall(data)
                if left <= len(data):
                    del marks[0]
                    source.shutdown(socket.SHUT_RDWR)
                    break
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def relaying(target: str, proxy: bool = False) -> Iterator[Relay]:
    relay = Relay(target, proxy)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
