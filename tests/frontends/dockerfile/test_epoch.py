"""SOURCE_DATE_EPOCH that names a stage. What is refused: tests/e2e/test_epoch_source.py."""

from __future__ import annotations

import pytest

from builder.graph.operation import HttpSource
from frontends.dockerfile.epoch import epoch_source, epoch_text
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import Dockerfile, parse
from frontends.text import Source
from tests.frontends.dockerfile.conftest import PLATFORM


def document(text: str) -> Dockerfile:
    return parse(Source("Dockerfile", text.encode()))


@pytest.mark.parametrize(
    ("given", "url"), [({}, "http://h/a/1"), ({"A": "b"}, "http://h/b/1"), ({"N": "2"}, "http://h/a/2")]
)
def test_arguments_of_the_file_and_of_the_stage(given: dict[str, str], url: str) -> None:
    text = "ARG A=a\nFROM scratch AS S\nARG N=1\nADD http://h/$A/$N /\nFROM scratch\n"
    options = LowerOptions(platform=PLATFORM, build_platform=PLATFORM, build_args=given)
    found = epoch_source(document(text), options, "s")
    assert isinstance(found, HttpSource) and found.url == url


@pytest.mark.parametrize(
    ("text", "given", "value"),
    [
        ("ARG A=1\nARG SOURCE_DATE_EPOCH=${A}2\nFROM scratch\n", {}, "12"),
        ("ARG A=1\nARG SOURCE_DATE_EPOCH=${A}2\nFROM scratch\n", {"A": "s"}, "s2"),
        ("ARG SOURCE_DATE_EPOCH=1\nFROM scratch\n", {"SOURCE_DATE_EPOCH": "2"}, "2"),
        ("FROM scratch\nARG SOURCE_DATE_EPOCH=1\n", {}, ""),
    ],
)
def test_the_value(text: str, given: dict[str, str], value: str) -> None:
    assert epoch_text(document(text), given) == value
