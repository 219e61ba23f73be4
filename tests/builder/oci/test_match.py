from __future__ import annotations

import pytest

from builder.oci.descriptor import OCI_MANIFEST, Descriptor
from builder.oci.match import best
from builder.oci.platform import Platform
from cache.digest import Digest


def entry(text: str) -> Descriptor:
    return Descriptor(OCI_MANIFEST, Digest.of(text.encode()), 1, Platform.parse(text) if text else None)


@pytest.mark.parametrize(
    ("wanted", "had", "chosen"),
    [
        ("linux/amd64", "linux/arm64 linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64 linux/amd64", "linux/arm64"),
        ("linux/arm64", "linux/arm64/v8", "linux/arm64/v8"),
        ("linux/arm/v7", "linux/arm/v5 linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v7", "linux/arm/v6 linux/arm", "linux/arm"),
        ("linux/arm/v6", "linux/arm/v7", None),
        ("linux/arm64", "linux/arm/v6 linux/arm/v7", "linux/arm/v7"),
        ("linux/arm64/v9", "linux/arm64/v8 linux/arm64/v8.5", "linux/arm64/v8.5"),
        ("linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v4", "linux/amd64/v2"),
        ("linux/amd64", "linux/amd64/v2", None),
        ("linux/amd64", "linux/386", "linux/386"),
        ("linux/amd64", "windows/amd64", None),
        ("linux/riscv64", "linux/arm64", None),
        ("windows(10.0.20348.1)/amd64", "windows(10.0.17763.9)/amd64 windows(10.0.20348.7)/amd64",
         "windows(10.0.20348.7)/amd64"),
        ("windows(10.0.26100.1)/amd64", "windows(10.0.20348.7)/amd64", "windows(10.0.20348.7)/amd64"),
        ("windows(10.0.17763.1)/amd64", "windows(10.0.20348.7)/amd64", None),
    ],
)  # fmt: skip
def test_the_nearest_is_chosen(wanted: str, had: str, chosen: str | None) -> None:
    found = best([entry(text) for text in had.split()], Platform.parse(wanted))
    assert found == ((entry(chosen),) if chosen else ())


def test_an_entry_without_a_platform_is_the_last_choice() -> None:
    anything, here = entry(""), entry("linux/386")
    assert best([anything, here], Platform.parse("linux/amd64")) == (here,)
    assert best([anything], Platform.parse("linux/s390x")) == (anything,)


def test_attestations_are_for_no_platform() -> None:
    unknown = Platform(architecture="unknown", os="unknown")
    attestation = Descriptor(OCI_MANIFEST, Digest.of(b""), 0, unknown)
    assert best([attestation], Platform.parse("linux/amd64")) == ()


def test_equals_are_all_given() -> None:
    first = entry("linux/amd64")
    second = Descriptor(OCI_MANIFEST, Digest.of(b"other"), 1, first.platform)
    assert best([first, second], Platform.parse("linux/amd64")) == (first, second)
