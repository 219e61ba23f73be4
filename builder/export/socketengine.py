"""SocketEngine: the API of a Docker Engine, over a socket: POST /images/load."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from builder.errors import OutputFault
from builder.export.target import Sink

_PATIENCE = 10  # seconds to answer that it is there
_ANSWER = 1 << 20  # bytes of an answer that are read


class SocketEngine:
    """The API of a Docker Engine, which Podman has, too. address: path of a socket, or host and port."""

    def __init__(self, address: str | tuple[str, int], name: str, trust: ssl.SSLContext | None = None) -> None:
        self.name, self._address, self._trust = name, address, trust
        self.indexes = False

    def ask(self) -> None:
        """Whether it is there, and what it takes. Raises OSError, HTTPException."""
        connection = self._connection(_PATIENCE)
        try:
            connection.request("GET", "/info")
            answer = connection.getresponse()
            raw = answer.read(_ANSWER)
        finally:
            connection.close()
        if answer.status != 200:
            raise http.client.HTTPException(_message(raw) or f"status {answer.status}")
        with suppress(ValueError, TypeError, AttributeError):
            driver = json.loads(raw).get("DriverStatus") or []
            self.indexes = ["driver-type", "io.containerd.snapshotter.v1"] in driver

    @contextmanager
    def open(self, size: int) -> Iterator[Sink]:
        try:
            connection = self._connection(None)
            try:
                with suppress(BrokenPipeError, ConnectionResetError):  # it says why in its answer
                    connection.putrequest("POST", "/images/load?quiet=1")
                    connection.putheader("Content-Type", "application/x-tar")
                    connection.putheader("Content-Length", str(size))
                    connection.endheaders()
                    yield _Wire(connection.sock)
                answer = connection.getresponse()
                raw = answer.read(_ANSWER)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise OutputFault(f"{self.name} did not take the image: {words(error)}") from error
        said = _message(raw)
        if answer.status != 200 or said:
            raise OutputFault(f"{self.name} did not take the image: {said or f'status {answer.status}'}")

    def _connection(self, patience: float | None) -> http.client.HTTPConnection:
        if isinstance(self._address, str):
            return _UnixConnection(self._address, patience)
        host, port = self._address
        if self._trust is not None:
            return http.client.HTTPSConnection(host, port, timeout=patience, context=self._trust)
        return http.client.HTTPConnection(host, port, timeout=patience)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, patience: float | None) -> None:
        super().__init__("localhost", timeout=patience)
        self._path, self._patience = path, patience

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._patience)
        self.sock.connect(self._path)


class _Wire:
    """write() to a connection. TLS has no descriptor that one could write to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes | memoryview, /) -> None:
        self._connection.sendall(data)

    def fileno(self) -> int:
        return -1 if isinstance(self._connection, ssl.SSLSocket) else self._connection.fileno()


def _message(raw: bytes) -> str:
    """What an answer says of an error: {"message": …}, or {"error": …} in one of its lines."""
    for line in raw.splitlines():
        with suppress(ValueError, AttributeError):
            data = json.loads(line)
            said = data.get("error") or data.get("message")
            if said:
                return _line(str(said))
    return ""


def words(error: BaseException) -> str:
    """What an error says, in one line."""
    return _line(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:500]
