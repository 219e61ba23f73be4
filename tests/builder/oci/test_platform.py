from __future__ import annotations

import pytest

from builder.errors import ImageFault
from builder.oci.platform import Platform, host, normalise, parse_platforms


@pytest.mark.parametrize(
    ("text", "shown", "normal"),
    [
        ("linux/amd64", "linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386", "linux/386"),
        ("linux/arm64", "linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64/v8.0", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/9", "linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/6", "linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v7", "linux/arm/v7", "linux/arm/v7"),
        ("aarch64", "linux/arm64", "linux/arm64"),
        ("armhf", "linux/arm", "linux/arm/v7"),
        ("Linux/AMD64", "linux/amd64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64", "darwin/arm64"),
        ("linux/riscv64", "linux/riscv64", "linux/riscv64"),
        ("windows(10.0.20348+win32k)/amd64", "windows(10.0.20348+win32k)/amd64", "windows(10.0.20348+win32k)/amd64"),
    ],
)
def test_parse(text: str, shown: str, normal: str) -> None:
    assert (Platform.parse(text).full, normalise(Platform.parse(text)).full) == (shown, normal)


def test_an_operating_system_alone_is_for_this_architecture() -> None:
    assert normalise(Platform.parse("linux")) == host()


def test_str_leaves_out_the_version_of_the_system() -> None:
    assert str(Platform.parse("windows(10.0.20348)/amd64")) == "windows/amd64"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", '"" is an invalid OS component of ""'),
        ("/", '"" is an invalid OS component of "/"'),
        ("linux/", '"" is an invalid component of "linux/"'),
        ("linux/am d64", '"am d64" is an invalid component of "linux/am d64"'),
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier'),
        ("plan10", '"plan10": unknown operating system or architecture'),
        ("linux/*", '"linux/*": wildcards not yet supported'),
        ("linux\n/amd64", "is an invalid OS component"),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    with pytest.raises(ImageFault) as caught:
        Platform.parse(text)
    assert caught.value.message.startswith(f"failed to parse platform {text}: ")
    assert reason in caught.value.message
    assert caught.value.message.endswith(": invalid argument")


def test_a_list_of_platforms() -> None:
    found = parse_platforms(("linux/arm64/v8,linux/arm", "local"))
    assert found == (Platform("arm64", "linux"), Platform("arm", "linux", "v7"), host())
