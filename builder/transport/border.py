"""The border to httpx: the only file that knows it. Its exceptions become ours, by the most specific class."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from builder.errors import Canceled, Interrupted, TimedOut, TransportFault, Unreachable, Untrusted
from builder.transport import trust
from builder.transport.address import shown
from builder.transport.settings import Timeouts, Tls
from builder.transport.trust import words

_CONNECTIONS = 64
_INSECURE = "if you trust the network to it, have it treated as insecure (registries.conf, or registry.insecure=true)"


class Client:
    """Connections with one kind of trust, by one way. Safe for many threads."""

    def __init__(self, tls: Tls | None, proxy: str, timeouts: Timeouts) -> None:
        """tls: None for plain http. proxy: its URL, or ""."""
        with translated(proxy or "the client"):
            self._client = httpx.Client(
                verify=trust.context(tls),
                proxy=proxy or None,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(timeouts.idle, connect=timeouts.connect, pool=None),
                limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
                headers={"accept-encoding": "identity"},
            )

    def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | Iterable[bytes] | None
    ) -> Answer:
        """Send a request, and read the answer up to its body."""
        with translated(url):
            request = self._client.build_request(method, url, headers=dict(headers), content=content)
            return Answer(self._client.send(request, stream=True), url)

    def close(self) -> None:
        self._client.close()


class Answer:
    """What came back, its body still unread."""

    def __init__(self, response: httpx.Response, url: str) -> None:
        self._response = response
        self._url = url
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> Iterator[bytes]:
        """The body as it was sent, in pieces of any size; raises Interrupted, TimedOut."""
        with translated(self._url):
            yield from self._response.iter_raw()

    def close(self) -> None:
        """One without a body is read to its end, where it is already, so that its connection is kept for the next."""
        with translated(self._url):
            if self._is_empty() and not self._response.is_stream_consumed:
                for _ in self._response.iter_raw():
                    break
            self._response.close()

    def _is_empty(self) -> bool:
        none = self._response.request.method == "HEAD" or self.status in (204, 304)
        return none or self.headers.get("content-length") == "0"

    def abort(self) -> None:
        """From another thread: whoever reads the body fails now."""
        stream = self._response.extensions.get("network_stream")
        found = stream.get_extra_info("socket") if stream is not None else None
        if isinstance(found, socket.socket):
            try:
                found.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@contextmanager
def translated(url: str) -> Iterator[None]:
    """What httpx, or what is below it, raises becomes a TransportFault that names the URL without its secrets."""
    where = shown(url)
    try:
        yield
    except httpx.TimeoutException as error:
        what = "connection" if isinstance(error, httpx.ConnectTimeout) else "answer"
        raise TimedOut(f"{where}: no {what} in time", "try again; the server or the network may be slow") from error
    except (httpx.ConnectError, httpx.ProxyError) as error:
        raise _unconnected(where, error) from error
    except (httpx.NetworkError, httpx.ProtocolError) as error:
        raise Interrupted(f"{where}: the connection was cut: {words(error)}", "try again") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise TransportFault(f"invalid URL {where}", "want http://HOST/… or https://HOST/…") from error
    except (httpx.StreamError, RuntimeError) as error:
        if "closed" not in str(error):
            raise
        raise Canceled("canceled") from error  # by another thread
    except ssl.SSLError as error:
        raise Untrusted(f"{where}: certificate or key cannot be used: {words(error)}") from error
    except (httpx.HTTPError, ValueError, ImportError) as error:
        raise TransportFault(f"{where}: {words(error)}") from error


def _unconnected(where: str, error: BaseException) -> TransportFault:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message or words(cause)
            return Untrusted(
                f"{where}: tls: failed to verify certificate: {reason}",
                f"add the server's CA to the system or to certs.d; {_INSECURE}",
            )
        if isinstance(cause, ssl.SSLError):
            if cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
                return Untrusted(f"{where}: server gave HTTP response to HTTPS client", _INSECURE)
            return Untrusted(f"{where}: tls: {words(cause)}")
        if isinstance(cause, socket.gaierror):
            return Unreachable(f"{where}: no such host ({cause.strerror})", "check the name, and the network")
        cause = cause.__cause__ or cause.__context__
    return Unreachable(f"{where}: no connection: {words(error)}", "check the name, the network and the proxy")
