"""Ports of EXPOSE: `[ip:][host:]port[-port][/tcp|udp|sctp]` to `port/protocol`."""

from __future__ import annotations

import msgspec

from frontends.dockerfile.gotext import quote
from frontends.errors import LowerFault

HIGHEST = 65535


class Ports(msgspec.Struct, frozen=True):
    """names: `80/tcp`, ranges unrolled. mapped: an address or host port was given. cased: the protocol is not lower."""

    names: tuple[str, ...]
    mapped: bool
    cased: bool


def parse_ports(text: str) -> Ports:
    """Raises LowerFault in BuildKit's words."""
    *address, container = text.rsplit(":", 2)
    ip, host = (address[0], address[1]) if len(address) == 2 else ("", address[0]) if address else ("", "")
    port, _, protocol = container.partition("/")
    if not port:
        raise LowerFault(f"invalid port: {quote(text)}: no port specified")
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise LowerFault(f"invalid port: {quote(text)}: invalid proto: {protocol}", "it is one of tcp, udp, sctp")
    _check_address(ip)
    found = _range(port)
    if found is None:
        raise LowerFault(f"invalid containerPort: {port}", f"a port is a number from 0 to {HIGHEST}")
    if host:
        _check_host(host, port, found)
    name = protocol.lower() or "tcp"
    return Ports(tuple(f"{number}/{name}" for number in found), bool(ip or host), protocol != protocol.lower())


def _range(text: str) -> range | None:
    first, dash, last = text.partition("-")
    low = _number(first)
    high = _number(last) if dash else low
    return range(low, high + 1) if low is not None and high is not None and high >= low else None


def _number(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    return int(text) if int(text) <= HIGHEST else None


def _check_host(host: str, port: str, found: range) -> None:
    hosts = _range(host)
    if hosts is None:
        raise LowerFault(f"invalid hostPort: {host}")
    if len(hosts) != len(found) and len(found) != 1:
        raise LowerFault(f"invalid ranges specified for container and host Ports: {port} and {host}")


def _check_address(ip: str) -> None:
    if not ip:
        return
    import ipaddress

    try:
        ipaddress.ip_address(ip[1:-1] if ip.startswith("[") and ip.endswith("]") else ip)
    except ValueError:
        raise LowerFault(f"invalid IP address: {ip}") from None
