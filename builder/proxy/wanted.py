"""Wanted: where a request of a step is to go, read from its head (RFC 9112, 3.2 and 6.3; RFC 9110, 7.6)."""

from __future__ import annotations

import re

import h11
import msgspec

from builder.errors import TransportFault
from builder.proxy.refusal import Refusal
from builder.transport.address import Origin, origin, userinfo
from builder.transport.transport import basic

Headers = list[tuple[bytes, bytes]]

METHODS = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH".split()
    + b"PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK ACL SEARCH BIND UNBIND REBIND".split()  # RFC 4918, 3744, 5323
    + b"REPORT VERSION-CONTROL CHECKOUT CHECKIN UNCHECKOUT MKWORKSPACE UPDATE LABEL MERGE".split()  # RFC 3253
    + b"BASELINE-CONTROL MKACTIVITY PURGE QUERY".split()
)
_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection proxy-authentication-info "
    b"te trailer transfer-encoding upgrade http2-settings".split()
)
_OURS = frozenset(b"host content-length expect accept-encoding".split())
_HOST = re.compile(r"[0-9a-z._-]{1,253}|[0-9a-f:.]{2,45}")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#\s]+):([0-9]{1,5})")


class Wanted(msgspec.Struct, frozen=True):
    """target: path and query as they came. headers: what of them is for the server. length: of the body, -1 for one
    whose end shows when it comes, None for none.
    """

    method: bytes
    origin: Origin
    target: str
    headers: Headers
    length: int | None

    @property
    def judged(self) -> str:
        """The URL in the form that all spellings of its path have (RFC 3986, 6.2.2): what a policy is asked for."""
        path, mark, query = self.target.partition("?")
        path = re.sub("%([0-9A-Fa-f]{2})", lambda found: _unreserved(found[1]), path)
        return f"{self.origin.scheme}://{self.origin.name}{_without_dots(path)}{mark}{query}"

    @property
    def url(self) -> str:
        return f"{self.origin.scheme}://{self.origin.name}{self.target}"

    def framed(self, to: Origin) -> Headers:
        """The headers to be sent to an origin: what is private is only for the one that was asked."""
        headers = [(b"host", to.name.encode())]
        headers += [pair for pair in self.headers if to == self.origin or pair[0] not in _PRIVATE]
        if self.length is not None:
            chunked = self.length < 0
            headers.append((b"transfer-encoding", b"chunked") if chunked else (b"content-length", b"%d" % self.length))
        return headers


_PRIVATE = frozenset({b"authorization", b"cookie"})


def connect_origin(target: bytes) -> Origin:
    """Where a tunnel leads (RFC 9110, 9.3.6)."""
    text = target.decode("ascii", "replace")
    if not _AUTHORITY.fullmatch(text):
        raise Refusal(400, "CONNECT wants HOST:PORT")
    return _origin(f"https://{text}")


def wanted(request: h11.Request, tunnel: Origin | None) -> Wanted:
    """tunnel: where the connection leads to, None for one that leads to the proxy. Raises Refusal."""
    method, headers = request.method, list(request.headers)
    if method not in METHODS:
        shown = method.decode("ascii", "replace")
        raise Refusal(501, f"the build's proxy does not pass {shown}")
    if b"websocket" in _value(headers, b"upgrade").lower():
        raise Refusal(501, "the build's proxy passes HTTP requests only, no WebSocket")
    to, target, login = _place(request, tunnel)
    length = _length(headers)
    dropped = _HOP | _OURS | {word.strip().lower() for word in _value(headers, b"connection").split(b",")}
    kept = [(name, value) for name, value in headers if name not in dropped]
    if login is not None and not any(name == b"authorization" for name, _ in kept):
        kept.append((b"authorization", basic(*login).encode()))
    return Wanted(method, to, target, kept, length)


def answered(headers: Headers) -> Headers:
    """Of a server's headers those that are for the client."""
    dropped = _HOP | {word.strip().lower() for word in _value(headers, b"connection").split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _place(request: h11.Request, tunnel: Origin | None) -> tuple[Origin, str, tuple[str, str] | None]:
    """Origin, path and query, user and password."""
    text = request.target.decode("ascii")
    scheme = tunnel.scheme if tunnel is not None else "http"
    host = _value(list(request.headers), b"host").decode("ascii", "replace")
    login = None
    if text.startswith("/"):
        if not host and tunnel is None:
            raise Refusal(400, "a request to a proxy names its host")
        named = _origin(f"{scheme}://{host}") if host else tunnel
        target = text.partition("#")[0]
    else:
        named, target = place(text)
        scheme, _, rest = text.partition("://")
        login = userinfo(f"{scheme}://{_authority(rest)[0]}")  # a path may be longer than a URL of ours
    assert named is not None
    if tunnel is not None and named != tunnel:
        raise Refusal(421, f"a request for {named.name} came by a tunnel to {tunnel.name}")
    return named, target, login


def place(url: str) -> tuple[Origin, str]:
    """The origin of an absolute URL, and its path and query as they are. Raises Refusal."""
    kind, separator, rest = url.partition("://")
    if not separator or kind.lower() not in ("http", "https") or not url.isascii():
        raise Refusal(400, "the build's proxy passes http and https URLs only")
    authority, target = _authority(rest)
    return _origin(f"{kind.lower()}://{authority}"), target if target.startswith("/") else "/" + target


def _authority(rest: str) -> tuple[str, str]:
    """What follows `scheme://`: the host with what belongs to it; path and query, without a fragment."""
    cut = re.search(r"[/?#]", rest)
    return (rest[: cut.start()], rest[cut.start() :].partition("#")[0]) if cut else (rest, "")


def _unreserved(digits: str) -> str:
    character = chr(int(digits, 16))
    plain = character.isascii() and (character.isalnum() or character in "-._~")
    return character if plain else f"%{digits.upper()}"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join(kept) + ("/" if parts[-1] in (".", "..") and kept else "")


def _length(headers: Headers) -> int | None:
    """h11 has checked each of the headers; two that speak of the length are how requests are smuggled."""
    encoding, length = _value(headers, b"transfer-encoding"), _value(headers, b"content-length")
    if encoding and length:
        raise Refusal(400, "Content-Length and Transfer-Encoding contradict each other")
    if encoding:
        return -1
    return int(length) if length else None


def _value(headers: Headers, name: bytes) -> bytes:
    return b",".join(value for found, value in headers if found.lower() == name)


def _origin(url: str) -> Origin:
    try:
        found = origin(url)
    except TransportFault as fault:
        raise Refusal(400, fault.message) from None
    if not _HOST.fullmatch(found.host):
        raise Refusal(400, "the host is no name and no address")
    return found
