# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

import pytest

from builder.errors import SourceFault
from frontends.dockerfile.pin import pin


def resolve(name: str) -> str:
    if name == "missing":
        raise SourceFault("missing: not found")
    return "sha256:" + "0" * 4


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        (b"FROM a\n", b"FROM a@sha256:0000\n"),
        (b"FROM a", b"FROM a@sha256:0000"),
        (b"\xef\xbb\xbfFROM a\r\nRUN x\r\n", b"\xef\xbb\xbfFROM a@sha256:0000\r\nRUN x\r\n"),
        (b"  from  r.io:5000/a/b:1   as  x\n", b"  from  r.io:5000/a/b:1@sha256:0000   as  x\n"),
        (b"FROM --platform=a a AS a\n", b"FROM --platform=a a@sha256:0000 AS a\n"),
        (b"FROM \\\n # c\n  a \\\n AS b\n", b"FROM \\\n # c\n  a@sha256:0000 \\\n AS b\n"),
        (b"# escape=`\nFROM `\n a\n", b"# escape=`\nFROM `\n a@sha256:0000\n"),
        (b"FROM a AS B\nFROM b\nFROM B\n", b"FROM a@sha256:0000 AS B\nFROM b\nFROM B@sha256:0000\n"),
        (b"FROM scratch\n", b"FROM scratch\n"),
        (b"ARG V=1\nFROM a:$V\n", b"ARG V=1\nFROM a:$V\n"),
        (b"FROM a@sha256:1\n", b"FROM a@sha256:1\n"),
        (b"FROM a\nRUN <<E\nFROM b\nE\n", b"FROM a@sha256:0000\nRUN <<E\nFROM b\nE\n"),
        (b"FROM a\nCOPY <<E /x\n  FROM b AS c\nE\nFROM c\n", b"FROM a@sha256:0000\nCOPY <<E /x\n  FROM b AS c\nE\nFROM c@sha256:0000\n"),
        (b"# FROM b\nFROM a\nRUN x \\\nFROM y\n# \xff\n", b"# FROM b\nFROM a@sha256:0000\nRUN x \\\nFROM y\n# \xff\n"),
    ],
)  # fmt: skip
def test_pin(text: bytes, pinned: bytes) -> None:
    assert pin(text, resolve) == pinned


def test_pinning_twice_changes_nothing() -> None:
    once = pin(b"FROM a AS b\nFROM c\nCOPY --from=b x y\n", resolve)
    assert pin(once, resolve) == once


def test_an_image_that_is_not_found_is_the_resolvers_fault() -> None:
    with pytest.raises(SourceFault):
        pin(b"FROM missing\n", resolve)
