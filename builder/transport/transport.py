"""Transport: HTTP requests, with redirects, repeats and the rule of who may see a credential. Safe for many threads.

httpx is imported when the first request is made.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from builder.errors import BadRedirect, BuildFault, Canceled, Interrupted, TimedOut, TransportFault, Unreachable
from builder.transport.address import Origin, bare, joined, origin, shown, userinfo
from builder.transport.proxies import Proxies
from builder.transport.response import Response
from builder.transport.settings import REPEATED, Retries, Timeouts, Tls, retry_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.transport.border import Answer, Client

Content = bytes | Callable[[], "Iterable[bytes]"] | None
"""A request's body: bytes, or a call that gives them anew each time that the request is made."""

_REDIRECTS = 10
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})  # RFC 9110, 9.2.2
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})
_DRAINED = 64 << 10  # bytes of a body nobody wants that are read to keep the connection


class _Way(NamedTuple):
    """How one request is made; see stream()."""

    private: bool
    repeat: bool


def _default_tls(origin: Origin) -> Tls:
    return Tls()


class Transport:
    """tls: how an https origin is trusted. agent: User-Agent. now: of the clock.

    sleep: waits between two attempts, may raise Canceled; None to wait until cancel() at most.
    """

    def __init__(
        self,
        *,
        agent: str,
        sleep: Callable[[float], None] | None = None,
        now: Callable[[], float],
        tls: Callable[[Origin], Tls] = _default_tls,
        proxies: Proxies = Proxies(),  # noqa: B008 (frozen)
        retries: Retries = Retries(),  # noqa: B008
        timeouts: Timeouts = Timeouts(),  # noqa: B008
    ) -> None:
        self._agent = agent
        self._sleep, self._now = sleep or self._wait, now
        self._tls, self._proxies, self._retries, self._timeouts = tls, proxies, retries, timeouts
        self._lock = threading.Lock()
        self._clients: dict[tuple[Tls | None, str], Client] = {}
        self._open: set[Answer] = set()
        self._asking: set[Future[Answer]] = set()
        self._stopped = threading.Event()

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        *,
        private: bool = False,
        repeat: bool | None = None,
    ) -> Iterator[Response]:
        """The answer to a request, whatever its status, once redirects are followed and repeats made.

        private: the content is a credential, too. repeat: whether a server that saw the request and may have done
        something may be asked again; None: as HTTP has it for the method.

        Authorization, cookies and the URL's own userinfo go to the URL's origin and to no other. A body that breaks
        off is not asked for again: who knows what it is can ask for the rest. Raises TransportFault, Canceled.
        """
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        login = userinfo(url)
        if login is not None:
            fields.setdefault("authorization", basic(*login))
        fields = {"user-agent": self._agent, **fields}
        way = _Way(private, method in _IDEMPOTENT if repeat is None else repeat)
        answer, final = self._redirected(method, bare(url), fields, content, way)
        try:
            yield Response(answer, final)
        except TransportFault as error:
            if self._stopped.is_set():
                raise Canceled("canceled") from error
            raise
        finally:
            self._finish(answer)

    def wait(self, attempt: int) -> bool:
        """Wait as after the request of this number, from 1; False where there should be no other one."""
        pause = self._retries.pause(attempt)
        if pause is not None:
            self._sleep(pause)
        return pause is not None

    def cancel(self) -> None:
        """Whatever is being read or asked for fails with Canceled, as soon as it can."""
        self._stopped.set()
        with self._lock:
            answers, asking = list(self._open), list(self._asking)
        for answer in answers:
            answer.abort()
        for one in asking:
            one.cancel()

    def close(self) -> None:
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _redirected(
        self, method: str, url: str, fields: dict[str, str], content: Content, way: _Way
    ) -> tuple[Answer, str]:
        first = url
        home = origin(url)
        for _ in range(_REDIRECTS + 1):
            answer = self._repeated(method, url, fields, content, way.repeat)
            location = answer.headers.get("location", "")
            if answer.status not in _FOLLOWED or not location:
                return answer, url
            self._finish(answer, drain=True)
            if method not in ("GET", "HEAD") and answer.status not in (307, 308):
                raise BadRedirect(f"{shown(url)}: a {method} was redirected with status {answer.status}")
            try:
                url = joined(url, location)
                to = origin(url)
            except (TransportFault, ValueError) as error:
                raise BadRedirect(f"{shown(url)} redirects to something that is no http or https URL") from error
            if to != home:
                if way.private and content:
                    raise BadRedirect(f"{shown(first)}: credentials are not sent on to {to.name}")
                fields = {name: value for name, value in fields.items() if name not in _PRIVATE}
        raise BadRedirect(f"{shown(first)}: stopped after {_REDIRECTS} redirects")

    def _repeated(self, method: str, url: str, fields: dict[str, str], content: Content, repeat: bool) -> Answer:
        """One request, made again while that may help. The last answer counts, whatever it is."""
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._once(method, url, fields, content)
            except (Unreachable, TimedOut, Interrupted) as error:
                no_host = isinstance(error, Unreachable)
                pause = None if no_host and attempt >= self._retries.connects else self._retries.pause(attempt)
                # An unreachable host has seen nothing, so that any request may be made again.
                if pause is None or not (repeat or no_host):
                    raise
            else:
                if answer.status not in REPEATED or not (repeat or answer.status == 429):
                    return answer
                pause = self._retries.pause(attempt, retry_after(answer.headers, self._now()))
                if pause is None:
                    return answer
                self._finish(answer, drain=True)
            self._sleep(pause)

    def _once(self, method: str, url: str, fields: dict[str, str], content: Content) -> Answer:
        self._check()
        client = self._client(origin(url))
        try:
            body = self._while_wanted(content) if callable(content) else content
            answer = self._asked(lambda: client.send(method, url, fields, body))
        except BuildFault:
            self._check()
            raise
        with self._lock:
            self._open.add(answer)
        if self._stopped.is_set():
            self._finish(answer)
            self._check()
        return answer

    def _asked(self, send: Callable[[], Answer]) -> Answer:
        """What send() gives. Looking a name up and connecting end by themselves alone: they get a thread that is left
        behind when nobody waits for it any more.
        """
        turn: Future[Answer] = Future()

        def work() -> None:
            try:
                answer = send()
            except BaseException as error:
                with suppress(InvalidStateError):
                    turn.set_exception(error)
                return
            try:
                turn.set_result(answer)
            except InvalidStateError:
                with suppress(BuildFault):
                    answer.close()

        with self._lock:
            self._asking.add(turn)
        try:
            self._check()
            threading.Thread(target=work, name="request", daemon=True).start()
            return turn.result()
        except CancelledError:
            raise Canceled("canceled") from None
        finally:
            with self._lock:
                self._asking.discard(turn)
            turn.cancel()

    def _while_wanted(self, content: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
        for data in content():
            self._check()
            yield data

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Canceled("canceled")

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Canceled("canceled")

    def _client(self, to: Origin) -> Client:
        from builder.transport.border import Client

        tls = self._tls(to) if to.scheme == "https" else None
        key = (tls, self._proxies.proxy(to))
        with self._lock:
            if key not in self._clients:
                self._clients[key] = Client(*key, self._timeouts)
            return self._clients[key]

    def _finish(self, answer: Answer, drain: bool = False) -> None:
        with self._lock:
            self._open.discard(answer)
        with suppress(TransportFault, Canceled):
            left = _DRAINED if drain else 0
            for data in answer.chunks() if drain else ():
                left -= len(data)
                if left < 0:
                    break
            answer.close()


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
