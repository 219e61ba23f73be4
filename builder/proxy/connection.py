"""Connection: one connection of a step to its proxy: request after request, inside a tunnel once one is made."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus

import h11

from builder.errors import BuildFault
from builder.proxy.authority import Authority
from builder.proxy.refusal import Refusal
from builder.proxy.requests import Request, Requests
from builder.proxy.told import Told
from builder.proxy.upstream import Answer, Upstream
from builder.proxy.waits import Waits
from builder.proxy.wanted import Wanted, answered, connect_origin, place, wanted
from builder.transport.address import Origin, shown
from builder.transport.trust import words

Judge = Callable[[str, str], str]
"""The URL that a request of a method and URL is made to instead, most often itself. A BuildFault where it is denied."""

_HEAD = 64 << 10  # bytes of a request's head
_READ = 64 << 10
_DRAINED = 256 << 10  # bytes of a body nobody wants that are read, so that the answer arrives
_GOODBYE = 2.0  # seconds for the other side to end TLS, too
_TRUST = "does it trust the build's certificate authority?"
_WHAT = "nothing but HTTP and HTTPS passes"
_TLS = 22  # the first byte of a handshake (RFC 8446, 5.1)


class _Gone(Exception):
    """The step closed the connection, or took too long."""


class Connection:
    """say: a line for the step's log. mask: a text without secrets. stream: closed here."""

    def __init__(
        self,
        stream: socket.socket,
        authority: Authority,
        upstream: Upstream,
        judge: Judge,
        requests: Requests,
        say: Callable[[str], None],
        mask: Callable[[str], str],
        waits: Waits,
    ) -> None:
        self._authority, self._upstream, self._judge = authority, upstream, judge
        self._requests, self._say, self._mask, self._waits = requests, say, mask, waits
        self._stream = stream
        self._tunnel: Origin | None = None
        self._used = False  # whether a request came by the tunnel
        self._trouble = ""  # why none could come
        self._method = b""
        self._ended = False
        self._http = _server()

    def serve(self) -> None:
        """Until the connection ends; never raises for what the step or a server does."""
        try:
            while self._next():
                pass
        except (_Gone, OSError, h11.LocalProtocolError):
            pass
        finally:
            if self._tunnel is not None and not self._used:
                self._lost(self._tunnel)
            self._stream.close()

    def cut(self) -> None:
        """From another thread: end it now, with no answer to what is under way."""
        self._ended = True
        with suppress(OSError):
            socket.socket.shutdown(self._stream, socket.SHUT_RDWR)  # TLS's own would forget that there was TLS

    def _next(self) -> bool:
        """Serve one request; whether there may be another one."""
        self._method = b""
        try:
            request = self._head()
            if request is None:
                return False
            self._method = request.method
            self._used = self._tunnel is not None
            if request.method == b"CONNECT":
                return self._connect(request)
            self._exchange(self._wanted(request))
        except h11.RemoteProtocolError as error:
            return self._refuse(Refusal(error.error_status_hint or 400, words(error)))
        except Refusal as refusal:
            return self._refuse(refusal)
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self._finish()
            return False
        self._http.start_next_cycle()
        return True

    def _wanted(self, request: h11.Request) -> Wanted:
        try:
            return wanted(request, self._tunnel)
        except Refusal as refusal:
            target = request.target.decode("ascii", "replace")
            url = f"{self._tunnel.scheme}://{self._tunnel.name}{target}" if self._tunnel is not None else target
            method = request.method.decode("ascii", "replace")
            seen = Request(method=method, url=shown(self._mask(url)), status=refusal.status, incomplete="refused")
            self._requests.add(seen)
            self._explain(seen.method, seen.url, refusal)
            raise

    # What the step sends

    def _head(self) -> h11.Request | None:
        deadline, begun = time.monotonic() + self._waits.kept, False
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            if not begun and self._http.trailing_data[0]:
                begun, deadline = True, time.monotonic() + self._waits.head
            data = self._receive(deadline - time.monotonic())
            if data and not begun:
                begun, deadline = True, time.monotonic() + self._waits.head
            self._http.receive_data(data)

    def _body(self) -> Iterator[bytes]:
        """To be read by whoever asks the server: a client that waits to be told to go on is told so by then."""
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(self._receive(self._waits.idle))
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise _Gone

    def _receive(self, seconds: float) -> bytes:
        if seconds <= 0:
            raise _Gone
        self._stream.settimeout(seconds)
        return self._stream.recv(_READ)

    # What the step is sent

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._stream.settimeout(self._waits.idle)
            self._stream.sendall(data)

    def _refuse(self, refusal: Refusal) -> bool:
        """The proxy's own answer, after which the connection ends: what else came on it is not looked at."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            if self._http.their_http_version != b"1.1":  # nothing but a reset tells half an answer from a whole one
                self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        body = f"{refusal.reason}\n".encode("utf-8", "replace")
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        headers.append(("Connection", "close"))
        phrase = HTTPStatus(refusal.status).phrase.encode()
        self._send(h11.Response(status_code=refusal.status, headers=headers, reason=phrase))
        if self._method != b"HEAD":
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        self._finish()
        return False

    def _finish(self) -> None:
        """Closing with bytes unread would reset the connection, and the answer may never be read."""
        if isinstance(self._stream, ssl.SSLSocket):
            self._stream.settimeout(_GOODBYE)
            with suppress(OSError, ValueError):  # the latter where TLS has ended already
                self._stream = self._stream.unwrap()
        self._stream.shutdown(socket.SHUT_WR)
        left, deadline = _DRAINED, time.monotonic() + self._waits.head
        while left > 0 and (data := self._receive(deadline - time.monotonic())):
            left -= len(data)

    # Tunnels

    def _connect(self, request: h11.Request) -> bool:
        if self._tunnel is not None:
            raise Refusal(400, "there is no tunnel in a tunnel")
        to = connect_origin(request.target)
        if not isinstance(self._http.next_event(), h11.EndOfMessage) or self._http.trailing_data[0]:
            raise Refusal(400, "what follows CONNECT came too early")
        context = self._authority.context(to.host)
        self._send(h11.Response(status_code=200, headers=[], reason=b"Connection Established"))
        self._tunnel, self._http = to, _server()
        self._stream.settimeout(self._waits.head)
        first = self._stream.recv(1, socket.MSG_PEEK)
        if not first or first[0] != _TLS:
            self._tunnel = Origin("http", to.host, to.port)
            return bool(first)
        stream = context.wrap_socket(self._stream, server_side=True, do_handshake_on_connect=False)
        self._stream = stream
        try:
            stream.do_handshake()
        except OSError as error:
            self._trouble = f": {words(error)}"
            return False
        return True

    def _lost(self, to: Origin) -> None:
        place = f"{to.host}:{to.port}"
        self._requests.add(Request(method="CONNECT", url=place, incomplete="no_request"))
        hint = _TRUST if isinstance(self._stream, ssl.SSLSocket) else _WHAT
        self._say(f"proxy: no request came by a connection to {place}{self._trouble}; {hint}")

    # Requests

    def _exchange(self, asked: Wanted) -> None:
        method, url = asked.method.decode("ascii"), shown(self._mask(asked.url))
        answer: Answer | None = None
        told = Told(asked)
        number = self._requests.add(told.request(method, url))
        try:
            answer = self._ask(asked, method)
            self._pass_on(asked, answer, told)
        except Refusal as refusal:
            if self._ended:
                raise _Gone from refusal
            told.broken = refusal.why or "refused"
            told.status = told.status or refusal.status
            self._explain(method, url, refusal)
            raise
        finally:
            if answer is not None:
                answer.close()
            self._requests.replace(number, told.request(method, url))

    def _explain(self, method: str, url: str, refusal: Refusal) -> None:
        self._say(f"proxy: {method} {url}: {self._mask(refusal.reason)}")

    def _ask(self, asked: Wanted, method: str) -> Answer:
        try:
            url = self._judge(method, asked.judged)
        except BuildFault as fault:
            told = ": ".join(filter(None, (fault.message, fault.hint)))
            reason = told.replace(asked.judged, shown(asked.judged))
            raise Refusal(403, reason, "denied_by_policy") from None
        to, target = (asked.origin, asked.target) if url == asked.judged else place(url)
        body = self._body() if asked.length is not None else None
        if body is None:
            self._http.next_event()  # which says that there is none
        return self._upstream.ask(asked.method, to, target.encode("ascii"), asked.framed(to), body)

    def _pass_on(self, asked: Wanted, answer: Answer, told: Told) -> None:
        if answer.status < 200:
            raise Refusal(502, f"{asked.origin.name} switches to another protocol", "upstream_error")
        try:
            head = h11.Response(status_code=answer.status, headers=answered(answer.headers), reason=answer.reason)
            told.status = answer.status
            self._send(head)
        except h11.LocalProtocolError as error:
            raise _Gone from error
        for data in answer.chunks():
            told.took(data)
            self._send(h11.Data(data=data))
        self._send(h11.EndOfMessage())
        told.whole = True


def _server() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
