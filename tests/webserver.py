"""A web server on loopback for tests: each request is answered by a function, and remembered."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """A request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One request, which the test's function answers by send() or by writing to wfile."""

    protocol_version = "HTTP/1.1"
    seen: Seen

    def send(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        """Answer; `content_type=` stands for the header Content-Type."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "content_length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self) -> None:
        """End the connection here."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, answer: Callable[[Exchange], None], context: ssl.SSLContext | None, address: str = "127.0.0.1"
    ) -> None:
        self.address = address
        self.answer = answer
        self.seen: list[Seen] = []
        super().__init__((address, 0), _handler(self))
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https" if context is not None else "http"

    @property
    def host(self) -> str:
        return f"{self.address}:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that go away are what is tested


def _handler(server: WebServer) -> type[Exchange]:
    class Handler(Exchange):
        def _take(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = _chunked(self) if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(size)
            self.seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            server.seen.append(self.seen)
            server.answer(self)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _take

    return Handler


def _chunked(exchange: Exchange) -> bytes:
    parts = []
    while size := int(exchange.rfile.readline(), 16):
        parts.append(exchange.rfile.read(size))
        exchange.rfile.readline()
    exchange.rfile.readline()
    return b"".join(parts)


@contextmanager
def serving(
    answer: Callable[[Exchange], None], context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> Iterator[WebServer]:
    """A running server; context: for https."""
    with WebServer(answer, context, address) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
