# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from builder.graph.operation import Exec
from builder.oci.config import RuntimeConfig
from builder.oci.platform import Platform
from frontends.dockerfile.options import is_predefined, proxy_env
from tests.frontends.dockerfile.programs import Build, fault, last, names, steps

replace = msgspec.structs.replace


def test_scratch(build: Build) -> None:
    program = build("FROM scratch\nENV a=b")
    assert (program.target, program.base, program.steps) == (None, None, ())
    assert program.config.runtime == RuntimeConfig(
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "a=b"), workdir="/"
    )
    program = build('FROM scratch\nCOPY a /\nRUN ["/a"]')
    first, second = steps(program)
    assert (first.rooted, first.sources[0].input, second.rooted) == (False, 0, True)
    assert program.base is None
    assert names(program) == ["[internal] load build context", "[1/2] COPY a /", '[2/2] RUN ["/a"]']


def test_platform_of_the_image(build: Build, images: Any) -> None:
    arm = Platform(architecture="arm64", os="linux")
    images.configs["a"] = replace(build("FROM a").config, platform=arm)
    assert build("FROM --platform=linux/arm64 a").config.platform == arm
    assert str(build("FROM a", platform_given=True).config.platform) == "linux/amd64"


# ARG scope


@pytest.mark.parametrize(
    ("text", "args", "env"),
    [
        ("ARG G=1\nFROM a\nRUN x", {}, ()),
        ("ARG G=1\nFROM a\nARG G\nRUN x", {}, ("G=1",)),
        ("ARG G=1\nFROM a\nARG G=2\nRUN x", {}, ("G=2",)),
        ("ARG G=1\nFROM a\nARG G=2\nRUN x", {"G": "3"}, ("G=3",)),
        ("ARG G=1\nFROM a\nARG G\nRUN x", {"G": "3"}, ("G=3",)),
        ("FROM a\nARG U\nRUN x", {}, ()),
        ("FROM a\nRUN x\n", {"U": "1"}, ()),
        ("FROM a\nARG A=1\nARG B=$A$A\nRUN x", {}, ("A=1", "B=11")),
        ("FROM a\nARG A=1\nENV A=2\nRUN x", {}, ("A=2",)),
        ("FROM a\nENV A=2\nARG A=1\nRUN x", {}, ("A=1",)),
        ("FROM a\nARG TARGETARCH\nARG TARGETSTAGE\nRUN x", {}, ("TARGETARCH=amd64", "TARGETSTAGE=default")),
        ("FROM a\nARG TARGETARCH\nRUN x", {"TARGETARCH": "z"}, ("TARGETARCH=z",)),
        ("FROM a\nARG HTTP_PROXY\nRUN x", {"HTTP_PROXY": "p"}, ("HTTP_PROXY=p",)),
        ("FROM a\nRUN x", {"HTTP_PROXY": "p"}, ()),
        ("FROM a AS s\nARG A=1\nFROM s\nRUN x", {}, ("A=1",)),
        ("FROM a AS s\nARG A=1\nFROM a\nCOPY --from=s a b\nRUN x", {}, ()),
        ("FROM a\nARG BUILDKIT_SBOM_SCAN_STAGE=1\nRUN x", {}, ()),
    ],
)
def test_arguments_of_a_run(build: Build, text: str, args: dict[str, str], env: tuple[str, ...]) -> None:
    assert last(build(text, build_args=args)).env == ("PATH=/bin", "FROM_BASE=1", *env)


def test_env_of_the_image_has_no_arguments(build: Build) -> None:
    assert build("FROM a\nARG A=1\nRUN x").config.runtime.env == ("PATH=/bin", "FROM_BASE=1")


def test_global_arguments_in_from(build: Build, images: Any) -> None:
    build("ARG A=x\nARG B=$A-y\nFROM img:$B", build_args={"A": "z"})
    assert images.asked == ["img:z-y"]


def test_proxy_settings_are_apart() -> None:
    assert proxy_env({"http_proxy": "a", "NO_PROXY": "b", "X": "c"}) == (
        "HTTP_PROXY=a",
        "NO_PROXY=b",
        "http_proxy=a",
        "no_proxy=b",
    )
    assert is_predefined("all_proxy") and is_predefined("BUILDKIT_SYNTAX") and not is_predefined("MINE")


def test_build_arguments_that_nobody_takes(build: Build) -> None:
    found = build("ARG G\nFROM a\nARG S", build_args={"G": "1", "S": "1", "X": "1", "A": "1", "HTTP_PROXY": "1"})
    assert [w.message for w in found.warnings] == ["[Warning] One or more build-args [A X] were not consumed"]


# stages


def test_a_stage_built_on_a_stage_has_all_layers(build: Build) -> None:
    program = build("FROM a AS x\nRUN 1\nUSER u\nFROM x AS y\nRUN 2\nFROM y\nRUN 3")
    assert [operation.argv[-1] for operation in steps(program)] == ["1", "2", "3"]
    assert program.config.runtime.user == "u"
    assert program.base is not None and program.target == program.steps[-1]


def test_latest_stage_of_a_name_counts(build: Build) -> None:
    program = build("FROM a AS x\nRUN 1\nFROM b AS x\nRUN 2\nFROM x\nRUN 3")
    assert [operation.argv[-1] for operation in steps(program)] == ["2", "3"]


def test_equal_stages_are_one(build: Build) -> None:
    program = build("FROM a AS x\nRUN 1\nFROM a AS y\nRUN 1\nFROM a\nCOPY --from=x . /x\nCOPY --from=y . /y")
    assert sum(isinstance(v.operation, Exec) for v in program.graph.vertices.values()) == 1


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("RUN x", {}, "no build stage in current context"),
        ("ARG x", {}, "dockerfile contains no stages to build"),
        ("FROM ${X}", {}, "base name (${X}) should not be blank"),
        ("FROM --platform=$X a", {}, "empty platform value from expression $X"),
        ("FROM --platform=$TARGETPLATFROM a", {}, "empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)"),
        ("FROM --platform=a/b/c/d a", {}, "failed to parse platform a/b/c/d: "),
        ("FROM a AS build", {"target": "biuld"}, 'target stage "biuld" could not be found (did you mean build?)'),
        ("FROM a AS x\nCOPY --from=x a b", {}, "circular dependency detected on stage: x"),
        ("FROM a AS x\nCOPY --from=y a b\nFROM a AS y\nCOPY --from=x a b", {}, "circular dependency detected on stage: x"),
        ("FROM a AS x\nCOPY --from=y a b\nFROM a AS y\nFROM x", {}, 'cannot copy from stage "y", it needs to be defined before current stage "x"'),
        ("FROM a AS x\nRUN --mount=from=y,target=/m z\nFROM a AS y\nFROM x", {}, 'cannot mount from stage "y" to "/m", stage needs to be defined before current command'),
        ("FROM a\nCOPY --from=7 a b", {}, "invalid stage index 7"),
        ("FROM a\nCOPY --from=-1 a b", {}, "invalid stage index -1"),
        ("FROM missing", {}, "missing: missing: not found"),
        ("FROM a AS missung\nFROM missing", {}, "missing: missing: not found (did you mean missung?)"),
        ("FROM a\nCOPY http://x/y z", {}, "source can't be a URL for COPY"),
        ("FROM a\nCOPY https://x/y.git z", {}, "source can't be a git ref for COPY"),
        ("FROM a\nCOPY git@x:y z", {}, "source can't be a git ref for COPY"),
        ("FROM a\nADD --checksum=md5:0 http://x/y z", {}, "invalid digest 'md5:0'"),
        ("FROM a\nADD --keep-git-dir=false git@x:y?keep-git-dir=1 z", {}, "inconsistent keep-git-dir configuration"),
        ("FROM a\nADD --checksum=ab git@x:y?checksum=cd z", {}, 'checksum mismatch "ab" != "cd"'),
        ("FROM a\nADD git@x:y?bad=1 z", {}, 'unexpected query "bad"'),
        ("FROM a\nADD --checksum=sha256:0 a z", {}, "checksum requires HTTP(S) or Git sources"),
        ("FROM a\nADD --checksum=sha256:0 a b z", {}, "checksum can't be specified for multiple sources"),
        ("FROM a\nCOPY --chmod=888 a b", {}, "invalid chmod parameter: '888'. it should be octal string and between 0 and 07777"),
        ("FROM a\nCOPY --chmod=10000 a b", {}, "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777"),
        ("FROM a\nCOPY <<a/b /x\na/b", {}, 'heredoc "a/b" cannot be the name of a file'),
        ("FROM a\nRUN <<../x\n#!/bin/sh\n../x", {}, 'heredoc "../x" cannot be the name of a file'),
        ("FROM a\nSTOPSIGNAL SIGNOPE", {}, "invalid signal: SIGNOPE"),
        ("FROM a\nSTOPSIGNAL 0", {}, "invalid signal: 0"),
        ("FROM a\nVOLUME $x", {}, "VOLUME specified can not be an empty string"),
        ("FROM a\nEXPOSE 70000", {}, "invalid containerPort: 70000"),
        ("FROM a\nEXPOSE 80/icmp", {}, 'invalid port: "80/icmp": invalid proto: icmp'),
        ("FROM a\nENV a=${}", {}, 'failed to process "${}": syntax error: bad substitution'),
        ("FROM a\nENV a=${b:?say}", {}, 'failed to process "${b:?say}": b: say'),
        ("FROM a\nRUN --device=x,z y", {}, "invalid field 'z' must be a key=value pair"),
        ("FROM a\nRUN []", {}, "arguments are required"),
    ],
)  # fmt: skip
def test_fault(build: Build, text: str, options: dict[str, Any], message: str) -> None:
    assert fault(build, text, **options).message.startswith(message)


def test_fault_is_drawn(build: Build) -> None:
    assert ">>> EXPOSE x" in fault(build, "FROM a\nEXPOSE x").excerpt
    assert ">>> FROM missing" in fault(build, "FROM a AS b\nFROM missing").excerpt
    assert ">>> ARG A=${}" in fault(build, "ARG A=${}\nFROM a").excerpt


def test_same_text_gives_the_same_program(build: Build) -> None:
    text = "FROM a AS x\nRUN 1\nFROM b\nCOPY --from=x a b\nLABEL b=1 a=2\nEXPOSE 2 1"
    assert build(text) == build(text)
    moved = build(text.replace("RUN 1", "# moved\n\nRUN 1"))
    assert moved.steps == build(text).steps


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("FROM scratch\nCOPY a /", "[1/1] COPY a /"),
        ("FROM scratch\nRUN --mount=type=tmpfs,target=/t a", "[stage-0 1/1] RUN --mount=type=tmpfs,target=/t a"),
        ("FROM scratch\nCOPY --from=scratch a /", "[stage-0 1/1] COPY --from=scratch a /"),
        ("FROM scratch AS s\nCOPY a /\nFROM s\nRUN --mount=from=s,target=/t a", "[s 1/1] COPY a /"),
    ],
)
def test_the_name_of_the_stage_is_shown_where_a_step_reads_more_than_it(build: Build, text: str, name: str) -> None:
    assert name in {info.name for info in build(text).graph.info.values()}
