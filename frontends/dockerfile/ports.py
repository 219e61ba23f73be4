"""Ports of EXPOSE: `[ip:][host:]port[-port][/tcp|udp|sctp]` to `port/protocol`."""

from __future__ import annotations

import re
from collections.abc import Callable

from frontends.dockerfile.gotext import quote
from frontends.errors import LowerFault

HIGHEST = 65535
_NUMBER = re.compile(r"[+-]?0*[0-9]{1,9}", re.ASCII)


def parse_ports(text: str, warn: Callable[[str], None] = lambda rule: None) -> tuple[str, ...]:
    """`80/tcp`, ranges unrolled. Raises LowerFault in BuildKit's words.

    warn: gets rules of lint that the text breaks: the protocol is not lower, an address or host port was given.
    """
    *address, container = text.rsplit(":", 2)
    ip, host = (address[0], address[1]) if len(address) == 2 else ("", address[0]) if address else ("", "")
    port, _, protocol = container.partition("/")
    if not port:
        raise LowerFault(f"invalid port: {quote(text)}: no port specified")
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise LowerFault(f"invalid port: {quote(text)}: invalid proto: {protocol}", "it is one of tcp, udp, sctp")
    if protocol != protocol.lower():
        warn("ExposeProtoCasing")
    if ip or host:
        warn("ExposeInvalidFormat")
    _check_address(ip)
    found = _range(port)
    if found is None:
        raise LowerFault(f"invalid containerPort: {port}", f"a port is a number from 0 to {HIGHEST}")
    if host:
        _check_host(host, port, found)
    name = protocol.lower() or "tcp"
    return tuple(f"{number}/{name}" for number in found)


def _range(text: str) -> range | None:
    first, dash, last = text.partition("-")
    low = _number(first)
    high = _number(last) if dash and first != last else low
    return range(low, high + 1) if low is not None and high is not None and high >= low else None


def _number(text: str) -> int | None:
    """As Go's strconv.ParseInt reads it: a sign and leading zeros are taken."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    number = int(found[0])
    return number if 0 <= number <= HIGHEST else None


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

    if ip.startswith("[") and not ip.endswith("]"):
        raise LowerFault(f"invalid IP address {ip}: address {ip}:: missing ']' in address")
    plain = ip[1:-1] if ip.startswith("[") else ip
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        raise LowerFault(f"invalid IP address: {plain}") from None
