"""Which addresses a step may reach from the network that it has by default: not the build machine itself, nor what
clouds tell only their own machines. An address is judged as it will be connected to, never as a name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)  # of Alibaba, Azure, Oracle, Amazon and Google; that of most is link-local
_THIS_HOST = ipaddress.ip_network("0.0.0.0/8")  # Linux connects 0.0.0.0 to itself
_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291, 2.5.5.1
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215


def forbidden(text: str) -> str:
    """Why an address may not be reached; "" where it may. An IPv6 address is also what it embeds."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "is no address"
    return next((why for one in (address, *_embedded(address)) if (why := _why(one))), "")


def _why(address: _Address) -> str:
    if address in _METADATA:
        return "is a cloud's metadata service"
    if address.is_unspecified or address.is_loopback or (address.version == 4 and address in _THIS_HOST):
        return "is the build machine itself"
    if address.is_link_local:
        return "is link-local"
    if address.is_multicast or str(address) == "255.255.255.255":
        return "is no single host"
    return ""


def _embedded(address: _Address) -> Iterator[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _COMPATIBLE or any(address in network for network in _TRANSLATED):
        yield low
