"""Dialer: connections of one step to the world, each to an address that was looked at, all to be cut at once."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore

from builder.proxy.addresses import forbidden
from builder.proxy.refusal import Refusal


class Dialer(httpcore.NetworkBackend):
    """checked: no address that forbidden() names is connected to. names: addresses of hosts, before the resolver's."""

    def __init__(self, *, checked: bool, names: Mapping[str, str]) -> None:
        self._checked, self._names = checked, names
        self._inner = httpcore.SyncBackend()
        self._lock = threading.Lock()
        self._open: set[_Watched] = set()
        self._closed = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Tries one address of the host after the other. Raises Refusal, httpcore.ConnectError."""
        addresses = self.resolve(host, port)
        for number, address in enumerate(addresses, 1):
            try:
                stream = self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return self.watch(stream)
        raise AssertionError  # resolve() gives one at least

    def resolve(self, host: str, port: int) -> list[str]:
        """All addresses of a host, none of which is forbidden: one that is condemns the name (DNS rebinding)."""
        try:
            found = socket.getaddrinfo(self._names.get(host, host), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else "") or "it is no name"
            raise Refusal(502, f"no such host {host}: {reason}", "upstream_error") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if self._checked:
            for address in addresses:
                why = forbidden(address)
                if why:
                    name = host if host == address else f"{host} ({address})"
                    raise Refusal(
                        403, f"{name} {why}, which a RUN step reaches only with --network=host", "forbidden_address"
                    )
        return addresses

    def knows(self, host: str) -> bool:
        """Whether a host is one of the given names."""
        return host in self._names

    def watch(self, stream: httpcore.NetworkStream) -> _Watched:
        watched = _Watched(self, stream)
        with self._lock:
            if not self._closed:
                self._open.add(watched)
                return watched
        stream.close()
        raise httpcore.ConnectError("the step has ended")

    def forget(self, stream: _Watched) -> None:
        with self._lock:
            self._open.discard(stream)

    def close(self) -> None:
        """Whoever reads or writes fails now; there are no new connections."""
        with self._lock:
            self._closed = True
            streams = list(self._open)
        for stream in streams:
            stream.cut()


class _Watched(httpcore.NetworkStream):
    def __init__(self, dialer: Dialer, stream: httpcore.NetworkStream) -> None:
        self._dialer, self._stream = dialer, stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._dialer.forget(self)
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._dialer.forget(self)
        return self._dialer.watch(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def cut(self) -> None:
        found = self._stream.get_extra_info("socket")
        if isinstance(found, socket.socket):
            try:
                socket.socket.shutdown(found, socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself
