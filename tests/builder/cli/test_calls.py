"""The words of --call, and tables as Go's tabwriter sets them."""

from __future__ import annotations

import json

import pytest

from builder.cli.calls import Call, describe, parse_call, show_outline, show_targets
from cache.errors import Fault
from frontends.dockerfile.outline import Declared, Needed, Outline, Target
from frontends.text import Lines, Source

SOURCE = Source("Dockerfile", b"FROM a")
AT = Lines(2, 3)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("", None),
        ("build", None),
        ("check", Call("lint")),
        ("lint,format=json", Call("lint", "json")),
        ("outline,ignorestatus=true", Call("outline", "text", True)),
    ],
)
def test_parse(text: str, call: Call | None) -> None:
    assert parse_call(text) == call


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sing", "failed to build: failed to solve: unsupported request frontend.sing"),
        ("check,color=red", "invalid print field: color=red"),
        ("check,outline", "invalid print value: check,outline"),
        ("check,ignorestatus=maybe", "invalid ignorestatus print value: maybe"),
    ],
)
def test_parse_errors(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_call(text)
    assert caught.value.message == message


def test_describe() -> None:
    assert describe("text") == (
        "NAME                 VERSION DESCRIPTION\n"
        "outline              1.0.0   List all parameters current build target supports\n"
        "targets              1.0.0   List all targets current build supports\n"
        "subrequests.describe 1.0.0   List available subrequest types\n"
    )
    assert [one["name"] for one in json.loads(describe("json"))][1:] == [
        "frontend.targets",
        "frontend.subrequests.describe",
    ]


def test_targets() -> None:
    found = (Target("build", False, "makes it", "a", "", AT), Target("", True, "", "b", "linux/arm64", AT))
    assert show_targets(found, SOURCE, "text") == "TARGET    DESCRIPTION\nbuild     makes it\n(default) \n"
    where = {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}, {"start": {"line": 3}, "end": {"line": 3}}]}
    assert json.loads(show_targets(found, SOURCE, "json")) == {
        "targets": [
            {"name": "build", "description": "makes it", "base": "a", "location": where},
            {"default": True, "base": "b", "platform": "linux/arm64", "location": where},
        ],
        "sources": ["RlJPTSBh"],
    }


def test_outline() -> None:
    found = Outline(
        "t", "what it is", (Declared("A", "1", "", AT), Declared("LONGER", "", "<b>", AT)),
        (Needed("key", True, AT),), (Needed("default", False, AT),),
    )  # fmt: skip
    assert show_outline(found, SOURCE, "text") == (
        "TARGET:      t\nDESCRIPTION: what it is\n\n"
        "BUILD ARG   VALUE   DESCRIPTION\nA           1       \nLONGER              <b>\n\n"
        "SECRET   REQUIRED\nkey      true\n\n"
        "SSH       REQUIRED\ndefault   \n\n"
    )
    text = show_outline(found, SOURCE, "json")
    assert "\\u003cb\\u003e" in text
    assert json.loads(text)["secrets"][0]["required"] is True
    assert show_outline(Outline("", ""), SOURCE, "text") == ""
