"""What a target takes, and what targets there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frontends.dockerfile.lower import Checked, check, outline
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.outline import Outline, targets
from frontends.dockerfile.parse import parse
from frontends.text import Source
from tests.frontends.dockerfile.conftest import PLATFORM, Images

TEXT = """
ARG inherited=box
ARG inherited2=box2
ARG unused=abc${inherited2}
# sfx is a suffix
ARG sfx="usy${inherited}"

FROM b${sfx} AS first
# this is not assigned to anything
ARG FOO=123
# BAR is a number
ARG BAR=456
RUN true

FROM alpine${unused} AS second
ARG BAZ
RUN --mount=type=secret,id=other true

FROM scratch AS third
ARG ABC=a
# another word
# alternate will show up
ARG alternate
RUN --mount=type=secret,id=n${BAR},required=true --mount=type=ssh true

# target defines build target
FROM third AS Target
COPY --from=first /etc/passwd /
RUN --mount=type=ssh,id=two,required true

FROM second
"""


@pytest.fixture
def ask(images: Images) -> Callable[..., Outline]:
    def run(text: str, **options: Any) -> Outline:
        chosen = LowerOptions(platform=PLATFORM, build_platform=PLATFORM, **options)
        return outline(parse(Source("Dockerfile", text.encode())), chosen, images)

    return run


def test_of_a_target(ask: Callable[..., Outline]) -> None:
    found = ask(TEXT, target="target", build_args={"BAR": "678"})
    assert (found.name, found.description) == ("target", "defines build target")
    assert [(one.name, one.value, one.description, one.lines.first) for one in found.arguments] == [
        ("inherited", "box", "", 2),
        ("sfx", "usybox", "is a suffix", 6),
        ("FOO", "123", "", 10),
        ("BAR", "678", "is a number", 12),
        ("ABC", "a", "", 20),
        ("alternate", "", "will show up", 23),
    ]
    assert [(one.name, one.required) for one in found.secrets] == [("n", True)]
    assert [(one.name, one.required) for one in found.agents] == [("default", False), ("two", True)]


def test_arguments_that_are_made_of_each_other(ask: Callable[..., Outline]) -> None:
    text = "\nARG FOO=123\nARG ABC=abc\nARG DEF=def\nARG FOO=${FOO}${ABC}\nARG BAR=${FOO}456\nARG FOO=${FOO}456${BAR}\n"
    text += "FROM scratch\nARG FOO\nARG INFOO=123\nARG INBAR=${INFOO}456\nARG INFOO=${INFOO}456${INBAR}\n"
    assert [(one.name, one.value) for one in ask(text).arguments] == [
        ("ABC", "abc"),
        ("BAR", "123abc456"),
        ("FOO", "123abc456123abc456"),
        ("INBAR", "123456"),
        ("INFOO", "123456123456"),
    ]


def test_targets() -> None:
    found = targets(parse(Source("Dockerfile", TEXT.encode())))
    assert [(one.name, one.description, one.base, one.default) for one in found] == [
        ("first", "", "b${sfx}", False),
        ("second", "", "alpine${unused}", False),
        ("third", "", "scratch", False),
        ("target", "defines build target", "third", False),
        ("", "", "second", True),
    ]


def test_check_looks_at_every_stage_and_says_what_fails(images: Images) -> None:
    def run(text: str, **options: Any) -> Checked:
        chosen = LowerOptions(platform=PLATFORM, build_platform=PLATFORM, **options)
        return check(parse(Source("Dockerfile", text.encode())), chosen, images)

    text = "FROM a AS one\nEXPOSE 80/TCP\nFROM a AS two\nCMD x\n"
    assert [one.rule for one in run(text).findings] == ["ExposeProtoCasing", "JSONArgsRecommended"]
    assert [one.rule for one in run(text, target="two").findings] == ["JSONArgsRecommended"]
    broken = run(text + "STOPSIGNAL NOPE\n")
    assert [one.rule for one in broken.findings] == ["ExposeProtoCasing", "JSONArgsRecommended"]
    assert broken.fault is not None
    assert broken.fault.message == "invalid signal: NOPE"
    failing = run("# check=error=true\n" + text)
    assert failing.fault is not None
    assert failing.fault.message == "lint violation found for rules: ExposeProtoCasing, JSONArgsRecommended"
    assert len(failing.findings) == 2
