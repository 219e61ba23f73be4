"""URLs: where a request goes, and how a URL is shown without what is secret in it (RFC 3986)."""

from __future__ import annotations

from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import msgspec

from builder.errors import TransportFault

_PORTS = {"http": 80, "https": 443}
_MAX_LENGTH = 16 << 10


class Origin(msgspec.Struct, frozen=True):
    """Whom credentials belong to: a scheme, a host in lower case, a port. Two that differ in one are strangers."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """`host`, with the port where it is not the usual one; an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def origin(url: str) -> Origin:
    """The origin of an absolute http or https URL; raises TransportFault where it is none."""
    parts = _split(url)
    assert parts.hostname is not None
    return Origin(parts.scheme, parts.hostname.rstrip(".") or parts.hostname, parts.port or _PORTS[parts.scheme])


def userinfo(url: str) -> tuple[str, str] | None:
    """User and password in a URL."""
    parts = _split(url)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def bare(url: str) -> str:
    """The URL without user, password and fragment: what is sent."""
    parts = _split(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def joined(base: str, location: str) -> str:
    """Where a redirect from `base` leads; its userinfo is dropped, since it is nobody's but the server's word."""
    return bare(urljoin(base, location))


def shown(url: str) -> str:
    """A URL for messages: no user, no password, no query, which may be a signature; no control characters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid URL"
    text = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + ("?…" if parts.query else "")
    return "".join(c if c.isprintable() else "?" for c in text)[:400]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise TransportFault(f"invalid URL {shown(url)}", "want http://HOST/… or https://HOST/…") from error
    if parts.scheme not in _PORTS or not host or port == 0 or len(url) > _MAX_LENGTH or not _plain(host):
        raise TransportFault(f"invalid URL {shown(url)}", "want http://HOST/… or https://HOST/…")
    return parts


def _plain(host: str) -> bool:
    return host.isprintable() and not set(host) & set(" \\^`{|}<>\"'%")
