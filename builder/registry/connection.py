"""Connection: requests to the registry of one place, and who we are to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from builder.errors import Denied, RegistryFault, TransportFault, Unreachable, Untrusted
from builder.registry.answers import expect, login_hint, one_line, refuse
from builder.registry.auth import TOKEN_LIMIT, Grant, Login, Reply, granted
from builder.registry.places import Place
from builder.transport.address import origin
from builder.transport.response import Response
from builder.transport.transport import Content, Transport

_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
_WARNINGS = 4096  # bytes of warnings in one answer (distribution spec, warnings)
_EARLY = 10  # seconds before its end that a token is not used any more


class Connection:
    """Safe for many threads. now: seconds of any clock."""

    def __init__(
        self,
        transport: Transport,
        place: Place,
        login: Callable[[], Login | None],
        now: Callable[[], float],
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """login: asked once, when the registry wants to know. warn: told what the registry warns of."""
        self._warn = warn
        self._transport, self.place, self._now = transport, place, now
        self._find_login = login
        self._login: Login | None = None
        self._asked_login = False
        self._grants: dict[str, tuple[Grant, float]] = {}
        self._base = ""
        self._lock = threading.Lock()

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        scope: str = "",
        repeat: bool | None = None,
    ) -> Iterator[Response]:
        """An answer of any status but 401, 403 and 429. path: below /v2/, or a URL that the registry gave.

        scope: what we want to do, "" for pulling from the repository. repeat: as for Transport.stream. Raises Denied,
        RateLimited, RegistryFault, TransportFault.
        """
        url = path if "://" in path else f"{self.base()}/v2/{path}"
        scope = scope or f"repository:{self.place.repository}:pull"
        fields = dict(headers or {})
        with self._once(method, url, fields, content, scope, repeat) as response:
            if response.status != 401 or not self._is_own(response):
                refuse(response, self.place)
                yield response
                return
            asked = response.headers.get("www-authenticate", "")
        self._grant(asked, scope)
        with self._once(method, url, fields, content, scope, repeat) as response:
            refuse(response, self.place)
            yield response

    def check(self) -> str:
        """Whether the registry takes our login; an identity token if it gave one. Raises Denied, RegistryFault."""
        with self._once("GET", f"{self.base()}/v2/", {}, None, "") as response:
            if response.status == 200:
                return ""
            if response.status != 401 or not self._is_own(response):
                refuse(response, self.place)
                raise RegistryFault(f"login attempt to {self.base()}/v2/ failed with status: {response.status}")
            asked = response.headers.get("www-authenticate", "")
        grant = self._run(asked, "", offline=True)
        headers = {"authorization": grant.header}
        with self._transport.stream("GET", f"{self.base()}/v2/", headers) as response:
            expect(response, (200,), self.place)
        return grant.identity

    def wait(self, attempt: int) -> bool:
        """As Transport.wait."""
        return self._transport.wait(attempt)

    def cancel(self) -> None:
        """Whatever is under way, here and elsewhere by the same transport, fails with Canceled."""
        self._transport.cancel()

    def base(self) -> str:
        """`https://host`, or http where the place need not be secure and does not speak TLS."""
        with self._lock:
            if not self._base:
                self._base = self._probe()
            return self._base

    def _probe(self) -> str:
        secure = f"https://{self.place.host}"
        if not self.place.insecure:
            return secure
        try:
            with self._transport.stream("GET", f"{secure}/v2/"):
                return secure
        except (Untrusted, Unreachable, TransportFault):
            return f"http://{self.place.host}"

    @contextmanager
    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: Content,
        scope: str,
        repeat: bool | None = None,
    ) -> Iterator[Response]:
        with self._lock:
            held = self._grants.get(scope)
        if held is not None and held[1] > self._now() and origin(url) == origin(self._base):
            headers = {**headers, "authorization": held[0].header}
        with self._transport.stream(method, url, headers, content, repeat=repeat) as response:
            for text in _WARNING.findall(response.headers.get("warning", "")[:_WARNINGS]):
                self._warn(f"{self.place.registry}: {one_line(text)}")
            yield response

    def _is_own(self, response: Response) -> bool:
        """Where a redirect or an upload leads to is a stranger, who must not say whom we tell our password."""
        return origin(response.url) == origin(self._base)

    def _grant(self, asked: str, scope: str) -> None:
        grant = self._run(asked, scope)
        until = self._now() + (grant.lifetime - _EARLY if grant.lifetime is not None else float("inf"))
        with self._lock:
            self._grants[scope] = (grant, until)

    def _run(self, asked: str, scope: str, offline: bool = False) -> Grant:
        with self._lock:
            if not self._asked_login:
                self._login, self._asked_login = self._find_login(), True
        flow = granted(asked, self._login, scope, self._base.startswith("https:"), offline)
        try:
            ask = next(flow)
            while True:
                method = "GET" if ask.form is None else "POST"
                with self._transport.stream(method, ask.url, ask.headers, ask.form, private=True) as response:
                    reply = Reply(response.status, response.read(TOKEN_LIMIT))
                ask = flow.send(reply)
        except StopIteration as end:
            grant: Grant = end.value
            return grant
        except Denied as error:
            hint = error.hint or login_hint(self.place)
            raise Denied(f"{self.place.registry}: {error.message}", hint) from error
        except RegistryFault as error:
            raise RegistryFault(f"{self.place.registry}: {error.message}", error.hint) from error
