# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from builder.graph.program import Program
from builder.oci.platform import Platform
from frontends.dockerfile.lint import RULES, Check, parse_check
from frontends.errors import LowerFault
from tests.frontends.dockerfile.conftest import BASE, Images

Build = Callable[..., Program]

FINDINGS = [
    ("FROM a AS Build", "StageNameCasing", "Stage name 'Build' should be lowercase", 1),
    ("FROM a as build", "FromAsCasing", "'as' and 'FROM' keywords' casing do not match", 1),
    ("FROM a\nRUN x \\\n\n y", "NoEmptyContinuation", "Empty continuation line", 4),
    ("FROM a\nRUN x\nrun y", "ConsistentInstructionCasing", "Command 'run' should match the case of the command majority (uppercase)", 3),
    ("FROM a\nRun x", "ConsistentInstructionCasing", "Command 'Run' should match the case of the command majority (uppercase)", 2),
    ("FROM a AS b\nFROM a AS b", "DuplicateStageName", 'Duplicate stage name "b", stage names should be unique', 2),
    ("FROM a AS scratch", "ReservedStageName", 'Stage name should not use the same name as reserved stage "scratch"', 1),
    ("FROM a\nCMD x", "JSONArgsRecommended", "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals", 2),
    ("FROM a\nMAINTAINER x", "MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", 2),
    ("ARG VERSION=1\nFROM a:1$VERSON", "UndefinedArgInFrom", "FROM argument 'VERSON' is not declared (did you mean VERSION?)", 2),
    ("FROM a\nWORKDIR x", "WorkdirRelativePath", 'Relative workdir "x" can have unexpected results if the base image changes', 2),
    ("FROM a\nENV FOO=1 BAR=$FO", "UndefinedVar", "Usage of undefined variable '$FO'", 2),
    ("FROM a\nENV FOOD=1\nLABEL x=$FOOT", "UndefinedVar", "Usage of undefined variable '$FOOT' (did you mean $FOOD?)", 3),
    ("FROM a\nHEALTHCHECK NONE\nHEALTHCHECK NONE", "MultipleInstructionsDisallowed", "Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used", 2),
    ('FROM a\nCMD ["x"]\nCMD ["y"]', "MultipleInstructionsDisallowed", "Multiple CMD instructions should not be used in the same stage because only the last one will be used", 2),
    ("FROM a\nENV a b", "LegacyKeyValueFormat", '"ENV key=value" should be used instead of legacy "ENV key value" format', 2),
    ("FROM --platform=$TARGETPLATFORM a", "RedundantTargetPlatform", "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior", 1),
    ("FROM a\nENV API_KEY=1", "SecretsUsedInArgOrEnv", 'Do not use ARG or ENV instructions for sensitive data (ENV "API_KEY")', 2),
    ("FROM a\nARG password", "SecretsUsedInArgOrEnv", 'Do not use ARG or ENV instructions for sensitive data (ARG "password")', 2),
    ("ARG T\nFROM a:$T", "InvalidDefaultArgInFrom", "Default value for ARG a:$T results in empty or invalid base image name", 2),
    ("FROM --platform=linux/amd64 a", "FromPlatformFlagConstDisallowed", 'FROM --platform flag should not use constant value "linux/amd64"', 1),
    ("FROM --platform=linux/arm64 a AS arm64-x", "InvalidBaseImagePlatform", 'Base image a was pulled with platform "linux/amd64", expected "linux/arm64" for current build', 1),
    ("FROM a\nCOPY secret /", "CopyIgnoredFile", 'Attempting to Copy file "secret" that is excluded by .dockerignore', 2),
    ("FROM a\nEXPOSE 80/TCP", "ExposeProtoCasing", "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase", 2),
    ("FROM a\nEXPOSE 127.0.0.1:80:80", "ExposeInvalidFormat", "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'", 2),
    ("# check=experimental=all\n# other\nARG A=1\nFROM a", "InvalidDefinitionDescription", "Comment for ARG should follow the format: `# A <description>`", 3),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule", "message", "line"), FINDINGS)
def test_finding(build: Build, text: str, rule: str, message: str, line: int) -> None:
    found = build(
        text, build_args={"T": "x"} if "$T" in text and "ARG T" in text else {}, ignored=lambda p: p == "secret"
    )
    assert [(w.rule, w.message) for w in found.warnings] == [(rule, message)]
    span = found.warnings[0].span
    assert span is not None and (span.first if rule != "NoEmptyContinuation" else span.last) == line


def test_every_rule_has_a_case() -> None:
    assert {rule for _, rule, _, _ in FINDINGS} == set(RULES)
    assert len(RULES) == 22


# For each rule what looks like it and is none: (rule, text).
SILENT = [
    ("StageNameCasing", "FROM a AS build"),
    ("FromAsCasing", "from a as b\nrun x"),
    ("FromAsCasing", "FROM a AS b"),
    ("NoEmptyContinuation", "FROM a\nRUN x \\\n# comment\n y\n\nRUN z"),
    ("NoEmptyContinuation", "FROM a\nRUN <<E\nx \\\n\ny\nE"),
    ("ConsistentInstructionCasing", "from a as b\nrun x"),
    ("ConsistentInstructionCasing", "arg A=1\nFROM a\nRUN x"),
    ("DuplicateStageName", "FROM a AS b\nFROM b\nRUN x"),
    ("DuplicateStageName", "FROM a AS b\nFROM a"),
    ("ReservedStageName", "FROM a AS contexts\nFROM scratch"),
    ("JSONArgsRecommended", 'FROM a\nSHELL ["/b"]\nCMD x\nENTRYPOINT y'),
    ("JSONArgsRecommended", 'FROM a\nCMD ["x"]\nENTRYPOINT ["y"]\nHEALTHCHECK CMD z\nRUN w'),
    ("MaintainerDeprecated", "FROM a\nLABEL maintainer=x"),
    ("UndefinedArgInFrom", "ARG V=1\nFROM a:$V\nARG V\nENV X=$V"),
    ("UndefinedArgInFrom", "FROM a-$TARGETARCH"),
    ("WorkdirRelativePath", "FROM a\nWORKDIR /x\nWORKDIR y"),
    ("WorkdirRelativePath", "FROM a AS x\nWORKDIR /x\nFROM x\nWORKDIR y"),
    ("UndefinedVar", "FROM a\nENV X=$PATH"),
    ("UndefinedVar", "FROM a\nARG NOT_SET\nENV X=$NOT_SET"),
    ("UndefinedVar", "FROM a\nRUN echo $NOT_SET"),
    ("MultipleInstructionsDisallowed", 'FROM a AS b\nCMD ["x"]\nFROM b\nCMD ["y"]'),
    ("MultipleInstructionsDisallowed", "FROM a\nUSER x\nUSER y\nENV a=1\nENV b=2"),
    ("LegacyKeyValueFormat", 'FROM a\nENV a="b c"\nLABEL "d e"=f'),
    ("RedundantTargetPlatform", "FROM --platform=$BUILDPLATFORM a"),
    ("RedundantTargetPlatform", "FROM --platform=$TARGETOS/$TARGETARCH a"),
    ("SecretsUsedInArgOrEnv", "FROM a\nENV KEY_FILE=x PUBLIC_KEY=y keyboard=z TOKENS=1 SECRET_VERSION=2"),
    ("SecretsUsedInArgOrEnv", "ARG TOKEN=1\nFROM a"),
    ("InvalidDefaultArgInFrom", "ARG V=1\nFROM a:$V"),
    ("InvalidDefaultArgInFrom", "FROM a${TARGETARCH:-b}"),
    ("FromPlatformFlagConstDisallowed", "FROM --platform=linux/amd64 a AS amd64-stage"),
    ("FromPlatformFlagConstDisallowed", "ARG P=linux/amd64\nFROM --platform=$P a"),
    ("InvalidBaseImagePlatform", "FROM a"),
    ("InvalidBaseImagePlatform", "FROM --platform=${TARGETOS}/amd64 a"),
    ("CopyIgnoredFile", "FROM a AS b\nFROM a\nCOPY --from=b secret /\nCOPY . /"),
    ("CopyIgnoredFile", "FROM a\nADD https://example.com/secret /"),
    ("InvalidDefinitionDescription", "# check=experimental=all\n# A is one\nARG A=1\n\n# b is the last\nFROM a AS b"),
    ("InvalidDefinitionDescription", "# check=experimental=all\n# other\n#\nARG A=1\nFROM a"),
    ("InvalidDefinitionDescription", "# other\nARG A=1\nFROM a"),
    ("ExposeProtoCasing", "FROM a\nEXPOSE 80/tcp 53/udp 9/sctp 7"),
    ("ExposeInvalidFormat", "FROM a\nEXPOSE 80 8000-8010/udp"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), SILENT)
def test_no_finding(build: Build, rule: str, text: str) -> None:
    assert build(text, ignored=lambda path: path == "secret").warnings == ()


def test_every_rule_has_a_silent_case() -> None:
    assert {rule for rule, _ in SILENT} == set(RULES)


def test_a_named_context_may_be_of_any_platform(build: Build, images: Images) -> None:
    images.configs["named"] = msgspec.structs.replace(BASE, platform=Platform(architecture="arm64", os="linux"))
    images.configs["a"] = images.configs["named"]
    assert [found.rule for found in build("FROM a").warnings] == ["InvalidBaseImagePlatform"]
    assert build("FROM a", contexts={"a": "image"}).warnings == ()
    assert build("FROM b", contexts={"docker.io/library/b:latest": "image"}).warnings == ()
    assert build("FROM b AS a", contexts={"a": "image"}).warnings == ()
    images.configs["empty"] = msgspec.structs.replace(images.configs["a"], diff_ids=(), history=())
    assert build("FROM empty").warnings == ()


# Rules that no comment turns off, since BuildKit asks them of the whole file (dockerfile2llb/convert.go).
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("FROM a AS b\n# check=skip=all\nFROM a AS b", "DuplicateStageName"),
        ("#\n# check=skip=all\nFROM a AS scratch", "ReservedStageName"),
        ("FROM a\nRUN x\n# check=skip=all\nrun y", "ConsistentInstructionCasing"),
        ("#\n# check=skip=all\nARG T=:\n# check=skip=all\nFROM a:$T", "InvalidDefaultArgInFrom"),
        ("FROM a\n# check=skip=all\nRUN x \\\n\n y", "NoEmptyContinuation"),
        ("#\n# check=skip=all\nFROM --platform=${TARGETOS}/arm64 a", "InvalidBaseImagePlatform"),
    ],
)
def test_a_comment_does_not_skip(build: Build, text: str, rule: str) -> None:
    found = build(text, build_args={"T": "1"} if "ARG T" in text else {})
    assert [warning.rule for warning in found.warnings] == [rule]


@pytest.mark.parametrize(
    ("comment", "skipped"),
    [
        ("# check=skip=all", True),
        ("# CHECK = skip=MaintainerDeprecated words", True),
        ("# check=skip=A,MaintainerDeprecated", True),
        ("# check=skip=A, MaintainerDeprecated", False),
        ("# check=skip=A;skip=MaintainerDeprecated", True),
        ("# check=skip=A\n# check=skip=all", False),
        ("# check=bad\n# check=skip=all", False),
        ("# words\n# check=skip=all", True),
        ("# check=skip=all\n\n# words", True),
        ("# check=skip=all\n#\n# words", False),
        ("  # check=skip=all", False),
        ("# check=skip=all,A", False),
        ("# checks=skip=all", False),
    ],
)
def test_a_comment_above_an_instruction(build: Build, comment: str, skipped: bool) -> None:
    found = build(f"FROM a\n{comment}\nMAINTAINER x").warnings
    assert [warning.rule for warning in found] == [] if skipped else ["MaintainerDeprecated"]


def test_skip_for_the_file_and_for_one_instruction(build: Build) -> None:
    assert build("# check=skip=JSONArgsRecommended\nFROM a\nCMD x").warnings == ()
    assert build("# check=skip=all\nFROM a\nCMD x\nMAINTAINER y").warnings == ()
    found = build("FROM a\n# check=skip=MaintainerDeprecated\nMAINTAINER y\nMAINTAINER z").warnings
    assert [w.span and w.span.first for w in found] == [4]
    assert build("FROM a\nCMD x", build_args={"BUILDKIT_DOCKERFILE_CHECK": "skip=all"}).warnings == ()
    with pytest.raises(LowerFault, match=r"^failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: invalid check option"):
        build("FROM a", build_args={"BUILDKIT_DOCKERFILE_CHECK": "x"})


def test_findings_as_errors(build: Build) -> None:
    with pytest.raises(LowerFault) as caught:
        build("# check=error=true\nFROM a\nCMD x")
    assert caught.value.message == "lint violation found for rules: JSONArgsRecommended"
    assert build("# check=error=true\nFROM a").warnings == ()


def test_check_setting() -> None:
    assert parse_check(" skip=A, B ;error=true; experimental=all ") == Check(
        frozenset({"A", "B"}), frozenset({"all"}), True
    )
    assert parse_check("skip=all,A") == Check(frozenset({"A"}))
    for text, bad in (("skipp=A", '"skipp"'), ("skip", '"skip"'), ("skip=A;", '""')):
        with pytest.raises(LowerFault, match=f"^failed to parse check options: invalid check option {bad}$"):
            parse_check(text)
    with pytest.raises(LowerFault) as caught:
        parse_check(" error= perhaps")
    assert caught.value.message == (
        'failed to parse check options: failed to parse check option "error= perhaps": '
        'strconv.ParseBool: parsing "perhaps": invalid syntax'
    )


def test_findings_come_by_line_and_once(build: Build) -> None:
    found = build("FROM a\nCMD x\nENV a=$no b=$no c=$no\nMAINTAINER y").warnings
    assert [w.rule for w in found] == ["JSONArgsRecommended", "UndefinedVar", "MaintainerDeprecated"]
    assert found[0].url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
