from __future__ import annotations

import pytest

from builder.proxy.addresses import forbidden


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "10.0.0.1", "172.17.0.1", "192.168.1.1", "100.64.0.1", "2606:4700::1111", "fd00::1", "::ffff:10.0.0.1",
     "64:ff9b::101:101", "2002:a00:1::"],
)  # fmt: skip
def test_others_are_reached(address):
    assert forbidden(address) == ""


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "is the build machine itself"),
        ("127.255.255.254", "is the build machine itself"),
        ("0.0.0.0", "is the build machine itself"),
        ("0.1.2.3", "is the build machine itself"),
        ("::", "is the build machine itself"),
        ("::1", "is the build machine itself"),
        ("::127.0.0.1", "is the build machine itself"),
        ("::ffff:0.0.0.0", "is the build machine itself"),
        ("::ffff:127.0.0.1", "is the build machine itself"),
        ("64:ff9b::7f00:1", "is the build machine itself"),
        ("64:ff9b:1::7f00:1", "is the build machine itself"),
        ("2002:7f00:1::1", "is the build machine itself"),
        ("2001:0:7f00:1::", "is the build machine itself"),
        ("2001:0:101:101::80ff:fffe", "is the build machine itself"),  # Teredo, the client's address inverted
        ("169.254.169.254", "is link-local"),
        ("::ffff:169.254.169.254", "is link-local"),
        ("fe80::1", "is link-local"),
        ("fe80::1%eth0", "is link-local"),
        ("fd00:ec2::254", "is a cloud's metadata service"),
        ("100.100.100.200", "is a cloud's metadata service"),
        ("::ffff:168.63.129.16", "is a cloud's metadata service"),
        ("224.0.0.1", "is no single host"),
        ("ff02::1", "is no single host"),
        ("255.255.255.255", "is no single host"),
        ("localhost", "is no address"),
    ],
)
def test_these_are_not(address, why):
    assert forbidden(address) == why
