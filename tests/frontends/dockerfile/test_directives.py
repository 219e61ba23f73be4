from __future__ import annotations

import pytest

from frontends.dockerfile.instructions import AnyInstruction, From, Run
from frontends.dockerfile.parse import parse
from frontends.errors import ParseFault
from frontends.text import Lines, Source


def tree(text: str | bytes) -> tuple[AnyInstruction, ...]:
    return parse(Source("Dockerfile", text.encode() if isinstance(text, str) else text)).tree.instructions


def test_byte_order_mark_and_directives() -> None:
    parsed = parse(
        Source("D", b"\xef\xbb\xbf# Syntax = docker/dockerfile:1.7\n#check=skip=all\n#escape=`\nFROM a `\n AS b")
    )
    assert parsed.tree.check == "skip=all"
    found = parsed.tree.instructions[0]
    assert isinstance(found, From)
    assert (found.stage, found.lines) == ("b", Lines(4, 5))


def test_a_comment_ends_the_directives() -> None:
    found = tree("# comment\n# escape=`\nFROM a\nRUN x `\n")[1]
    assert isinstance(found, Run)
    assert found.command.words == ("x `",)


def test_a_directive_in_no_encoding() -> None:
    """Found by fuzzing: the value could not be remembered."""
    assert parse(Source("Dockerfile", b"# check=skip=all\xf6\nFROM a\n")).tree.check == "skip=all\ufffd"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# syntax=other/x\nFROM a", 1),
        ("# syntax = other/x:1.2 some words\nFROM a", 1),
        ("# escape=`\n# syntax=other/x\nFROM a", 2),
        ("\ufeff#syntax=other/x\nFROM a", 1),
        ("#!/usr/bin/env other\n# syntax=other/x\n", 2),
        ("// syntax=other/x\nanything", 1),
        ("#!/usr/bin/env other\n//syntax=other/x\n", 2),
        ('{"syntax": "other/x", "more": [1]}', 1),
        ("# syntax=other/x\n# syntax=docker/dockerfile\n", 1),
        ("# syntax=localhost:5000/other@sha256:0\nFROM a", 1),
    ],
)
def test_another_frontend_is_refused(text: str, line: int) -> None:
    with pytest.raises(ParseFault, match=r"^frontend image \S*other\S* is not supported$") as caught:
        tree(text)
    assert caught.value.lines == Lines(line, line)


@pytest.mark.parametrize(
    "text",
    [
        " # syntax=other/x\nFROM a",
        "\n# syntax=other/x\nFROM a",
        "# a comment\n# syntax=other/x\nFROM a",
        "#!/bin/sh\n\n# syntax=other/x\nFROM a",
        "# syntax=\nFROM a",
        "# syntax=registry.example:5000/docker/dockerfile-upstream:master@sha256:0\nFROM a",
        "FROM a\n# syntax=other/x\n",
    ],
)
def test_our_frontend_or_none(text: str) -> None:
    assert tree(text)[0].keyword == "FROM"
