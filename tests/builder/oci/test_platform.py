from __future__ import annotations

import pytest

from builder.errors import ImageFault
from builder.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"), ("linux/x86_64", "linux/amd64"), ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"), ("linux/arm/6", "linux/arm/v6"), ("aarch64", "linux/arm64"),
        ("Linux/AMD64", "linux/amd64"), ("macos/arm64", "darwin/arm64"), ("linux/riscv64", "linux/riscv64"),
    ],
)  # fmt: skip
def test_parse(text: str, shown: str) -> None:
    assert str(Platform.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/am d64", "plan10", "linux\n/amd64"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ImageFault, match="failed to parse platform"):
        Platform.parse(text)


def test_runs_on() -> None:
    arm7, arm6 = Platform.parse("linux/arm/v7"), Platform.parse("linux/arm/v6")
    assert Platform.parse("linux/arm64").runs_on(Platform.parse("linux/arm64/v8"))
    assert not arm6.runs_on(arm7)
    assert not arm7.runs_on(Platform.parse("linux/arm64"))
