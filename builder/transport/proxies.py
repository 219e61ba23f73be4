"""Proxies: which one a request goes through, by the rules of HTTP_PROXY, HTTPS_PROXY and NO_PROXY (Go's httpproxy)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import msgspec

from builder.transport.address import Origin


class Proxies(msgspec.Struct, frozen=True):
    """http, https: URL of the proxy for that scheme, "" for none. exempt: the words of NO_PROXY."""

    http: str = ""
    https: str = ""
    exempt: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxies:
        """From environment variables; the lower-case ones go first."""

        def value(name: str) -> str:
            return environment.get(name.lower()) or environment.get(name, "")

        http = "" if "REQUEST_METHOD" in environment else value("HTTP_PROXY")  # CGI: a client could have set it
        words = tuple(word.strip().lower() for word in value("NO_PROXY").split(",") if word.strip())
        return cls(_with_scheme(http), _with_scheme(value("HTTPS_PROXY")), words)

    def proxy(self, origin: Origin) -> str:
        """The URL of the proxy to an origin, or ""."""
        found = self.https if origin.scheme == "https" else self.http
        return "" if not found or self._exempt(origin) else found

    def _exempt(self, origin: Origin) -> bool:
        address = _address(origin.host)
        if origin.host == "localhost" or (address is not None and address.is_loopback):
            return True
        return any(_matches(word, origin, address) for word in self.exempt)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _matches(word: str, origin: Origin, address: _Address | None) -> bool:
    if word == "*":
        return True
    if "/" in word:
        try:
            return address is not None and address in ipaddress.ip_network(word, strict=False)
        except ValueError:
            return False
    host, port = _host_and_port(word)
    if port and port != str(origin.port):
        return False
    if address is not None:
        return _address(host) == address
    if host.startswith("*."):
        host = host[1:]
    if host.startswith("."):
        return origin.host.endswith(host)
    return origin.host == host or origin.host.endswith(f".{host}")


def _host_and_port(word: str) -> tuple[str, str]:
    if word.startswith("["):
        host, _, rest = word[1:].partition("]")
        return host, rest.removeprefix(":")
    host, colon, port = word.partition(":")
    return (word, "") if ":" in port else (host, port if colon else "")


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _with_scheme(proxy: str) -> str:
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
