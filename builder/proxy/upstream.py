"""Upstream: the proxy's requests to servers, for one step. With dial.py the only file that knows httpcore."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import httpcore

from builder.errors import BuildFault
from builder.proxy.dial import Dialer
from builder.proxy.refusal import Refusal
from builder.proxy.waits import Waits
from builder.transport.address import Origin, userinfo
from builder.transport.proxies import Proxies
from builder.transport.trust import words

Headers = list[tuple[bytes, bytes]]

_USUAL = {"http": 80, "https": 443}
_KEPT = 10.0  # seconds that an idle connection is kept: less than servers keep them, so that few are found closed


class Answer:
    """What a server said, its body still to be read. headers: as they came."""

    def __init__(self, response: httpcore.Response, where: str) -> None:
        self._response, self._where = response, where
        self.status = response.status
        self.reason = bytes(response.extensions.get("reason_phrase", b""))
        self.headers: Headers = list(response.headers)

    def chunks(self) -> Iterator[bytes]:
        """The body as it was sent, without HTTP's own framing. Raises Refusal where it breaks off."""
        with _translated(self._where):
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class Upstream:
    """trust: how servers are proved, made when first needed. Safe for many threads."""

    def __init__(self, dialer: Dialer, trust: Callable[[], ssl.SSLContext], proxies: Proxies, waits: Waits) -> None:
        self._dialer, self._trust, self._proxies, self._waits = dialer, trust, proxies, waits
        self._beyond = Dialer(checked=False, names={})  # to the machine's own proxy, wherever that is
        self._lock = threading.Lock()
        self._pools: dict[str, httpcore.ConnectionPool] = {}

    def ask(self, method: bytes, to: Origin, target: bytes, headers: Headers, body: Iterable[bytes] | None) -> Answer:
        """Send a request as it is, and read the answer up to its body. Raises Refusal, and what body raises."""
        proxy = "" if self._dialer.knows(to.host) else self._proxies.proxy(to)
        if proxy:
            self._look(to)
        timeout = {"connect": self._waits.connect, "read": self._waits.idle, "write": self._waits.idle}
        port = None if to.port == _USUAL[to.scheme] else to.port
        url = httpcore.URL(scheme=to.scheme.encode(), host=to.host.encode(), port=port, target=target)
        with _translated(to.name):
            pool = self._pool(proxy)
            for again in (body is None and method in (b"GET", b"HEAD"), False):
                # One that was kept may have been closed by the server just now, having seen nothing (RFC 9112, 9.3.1).
                request = httpcore.Request(method, url, headers=headers, content=body, extensions={"timeout": timeout})
                try:
                    return Answer(pool.handle_request(request), to.name)
                except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError):
                    if not again:
                        raise
        raise AssertionError

    def close(self) -> None:
        """Cut everything."""
        self._dialer.close()
        self._beyond.close()

    def _look(self, to: Origin) -> None:
        """The name is the other proxy's to resolve; where it means something here, too, that counts."""
        try:
            self._dialer.resolve(to.host, to.port)
        except Refusal as refusal:
            if refusal.status != 502:
                raise

    def _pool(self, proxy: str) -> httpcore.ConnectionPool:
        with self._lock:
            if proxy not in self._pools:
                login = userinfo(proxy) if proxy else None
                self._pools[proxy] = httpcore.ConnectionPool(
                    ssl_context=self._trust(),
                    max_connections=None,
                    keepalive_expiry=_KEPT,
                    network_backend=self._beyond if proxy else self._dialer,
                    proxy=httpcore.Proxy(proxy, auth=login) if proxy else None,
                )
            return self._pools[proxy]


@contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        what = "connection" if isinstance(error, httpcore.ConnectTimeout) else "answer"
        raise Refusal(504, f"{where}: no {what} in time", "upstream_error") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
        raise Refusal(502, f"{where}: {words(error)}", "upstream_error") from error
    except (BuildFault, UnicodeError, ImportError) as error:  # of the trust and the proxy that we were given
        raise Refusal(502, f"{where}: {words(error)}", "upstream_error") from error
