from __future__ import annotations

import pytest

from frontends.dockerfile.ports import parse_ports
from frontends.errors import LowerFault


@pytest.mark.parametrize(
    ("text", "names", "mapped", "cased"),
    [
        ("80", ("80/tcp",), False, False),
        ("80/", ("80/tcp",), False, False),
        ("80/udp", ("80/udp",), False, False),
        ("80/SCTP", ("80/sctp",), False, True),
        ("0-2", ("0/tcp", "1/tcp", "2/tcp"), False, False),
        ("65535", ("65535/tcp",), False, False),
        ("+80", ("80/tcp",), False, False),
        ("+80-+81", ("80/tcp", "81/tcp"), False, False),
        ("0--0", ("0/tcp",), False, False),
        ("0" * 30 + "80", ("80/tcp",), False, False),
        ("8080:80", ("80/tcp",), True, False),
        ("8000-8001:80-81", ("80/tcp", "81/tcp"), True, False),
        ("8000-8009:80", ("80/tcp",), True, False),
        ("127.0.0.1:80:80", ("80/tcp",), True, False),
        ("127.0.0.1::80", ("80/tcp",), True, False),
        ("[::1]:80:80", ("80/tcp",), True, False),
        ("::1:80:80", ("80/tcp",), True, False),
    ],
)
def test_ports(text: str, names: tuple[str, ...], mapped: bool, cased: bool) -> None:
    rules: list[str] = []
    assert parse_ports(text, rules.append) == names
    assert rules == ["ExposeProtoCasing"] * cased + ["ExposeInvalidFormat"] * mapped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "invalid containerPort: x"),
        ("65536", "invalid containerPort: 65536"),
        ("2-1", "invalid containerPort: 2-1"),
        ("1-", "invalid containerPort: 1-"),
        ("-1", "invalid containerPort: -1"),
        ("٣", "invalid containerPort: ٣"),
        ("-0", "invalid containerPort: -0"),
        ("80--0", "invalid containerPort: 80--0"),
        ("+", "invalid containerPort: +"),
        ("+-1", "invalid containerPort: +-1"),
        ("9" * 5000, "invalid containerPort: " + "9" * 5000),
        ("80/icmp", "invalid proto: icmp"),
        ("/tcp", "no port specified"),
        ("x:80", "invalid hostPort: x"),
        ("1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("[x]:80:80", "invalid IP address: x"),
        ("[::1:80:80", "invalid IP address [::1: address [::1:: missing ']' in address"),
    ],
)
def test_ports_that_are_none(text: str, message: str) -> None:
    with pytest.raises(LowerFault) as caught:
        parse_ports(text)
    assert caught.value.message.endswith(message)


@pytest.mark.parametrize(
    ("text", "rules"),
    [("x/TCP", ["ExposeProtoCasing"]), ("1.2.3:80:80", ["ExposeInvalidFormat"]), ("1:80/ICMP", [])],
)
def test_warnings_come_before_the_fault_of_a_number(text: str, rules: list[str]) -> None:
    found: list[str] = []
    with pytest.raises(LowerFault):
        parse_ports(text, found.append)
    assert found == rules
