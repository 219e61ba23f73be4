# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from builder.graph.operation import Copy, Exec, ImageSource, InlineFile, LocalSource, MakeDir, Mount, Selection
from builder.graph.program import Program
from builder.oci.config import HealthCheck, ImageConfig, RuntimeConfig
from builder.oci.platform import Platform
from frontends.dockerfile.options import is_predefined, proxy_env
from frontends.errors import FrontendFault, LowerFault
from frontends.text import Lines

Build = Callable[..., Program]
replace = msgspec.structs.replace


def steps(program: Program) -> list[Any]:
    return [program.graph.vertices[digest].operation for digest in program.steps]


def names(program: Program) -> list[str]:
    return [program.graph.info[digest].name for digest in program.graph.vertices if digest in program.graph.info]


def own_history(program: Program) -> list[tuple[str, bool]]:
    return [(entry.created_by, entry.empty_layer) for entry in program.config.history if entry.own]


def last(program: Program) -> Any:
    return steps(program)[-1]


def fault(build: Build, text: str, **options: Any) -> FrontendFault:
    with pytest.raises(FrontendFault) as caught:
        build(text, **options)
    return caught.value


# history, to the letter


HISTORY = [
    ("RUN make", "RUN /bin/sh -c make # buildkit", False),
    ('RUN ["make", "it"]', "RUN make it # buildkit", False),
    ("ARG A=1\nARG B\nRUN make", "RUN |2 A=1 B= /bin/sh -c make # buildkit", False),
    ("ARG A=1\nENV A=2\nRUN make", "RUN |1 A=2 /bin/sh -c make # buildkit", False),
    ("COPY --chown=1:2 --chmod=755 a b /c/", "COPY --chown=1:2 --chmod=755 a b /c/ # buildkit", False),
    ("COPY --link --from=img --exclude=x a .", "COPY a . # buildkit", False),
    ("COPY --parents a/./b /c", "COPY --parents a/./b /c # buildkit", False),
    ("ENV d=x\nCOPY $d/a b$d", "COPY x/a bx # buildkit", False),
    ("COPY a <<E /c/\nx\nE", "COPY a <<E /c/ # buildkit", False),
    ("ADD --unpack=false a b", "ADD a b # buildkit", False),
    ("WORKDIR a/../b", "WORKDIR /b", False),
    ("WORKDIR /", "WORKDIR /", True),
    ("ENV a=1 b='x y'", "ENV a=1 b=x y", True),
    ("ENV a 1 2", "ENV a=1 2", True),
    ('LABEL "a b"=c', "LABEL a b=c", True),
    ("ARG a=b c", "ARG a=b c", True),
    ("CMD make it", 'CMD ["/bin/sh" "-c" "make it"]', True),
    ('CMD ["a", "b\\n\\"c\\""]', 'CMD ["a" "b\\n\\"c\\""]', True),
    ("CMD []", "CMD []", True),
    ('ENTRYPOINT ["x", "y"]', 'ENTRYPOINT ["x" "y"]', True),
    ("EXPOSE 443 80/UDP", "EXPOSE [443/tcp 80/udp]", True),
    ("EXPOSE 80-82", "EXPOSE [80/tcp 81/tcp 82/tcp]", True),
    ("VOLUME /a /b", "VOLUME [/a /b]", True),
    ('SHELL ["/bin/bash", "-c"]', "SHELL [/bin/bash -c]", True),
    ("USER me:us", "USER me:us", True),
    ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGTERM", True),
    ("MAINTAINER me $x", "MAINTAINER me $x", True),
    (
        "HEALTHCHECK --interval=1m30s --timeout=1500ms --retries=2 CMD c",
        "HEALTHCHECK {Test:[CMD-SHELL c] Interval:1m30s Timeout:1.5s StartPeriod:0s StartInterval:0s Retries:2}",
        True,
    ),
    (
        "HEALTHCHECK NONE",
        "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        True,
    ),
]


@pytest.mark.parametrize(("lines", "created_by", "empty"), HISTORY)
def test_history_entry(build: Build, lines: str, created_by: str, empty: bool) -> None:
    program = build(f"FROM a\n{lines}")
    entry = program.config.history[-1]
    assert (entry.created_by, entry.empty_layer) == (created_by, empty)
    assert (entry.comment, entry.own, entry.created) == ("buildkit.dockerfile.v0", True, "")


def test_onbuild_leaves_no_history(build: Build) -> None:
    program = build("FROM a\nONBUILD RUN x")
    assert own_history(program) == []
    assert program.config.runtime.onbuild == ("RUN x",)


def test_layers_and_entries_agree(build: Build) -> None:
    program = build("FROM a AS x\nRUN 1\nENV a=b\nWORKDIR /\nFROM x\nWORKDIR /d\nCOPY a .\nCMD x")
    full = [entry for entry in program.config.history if not entry.empty_layer]
    assert len(full) == len(program.config.diff_ids) + len(program.steps) == 4


# one operation each


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("RUN a  b", ("/bin/sh", "-c", "a  b")),
        ('RUN ["a", "$b"]', ("a", "$b")),
        ("RUN <<E\na\nb\nE", ("/bin/sh", "-c", "a\nb\n")),
        ("RUN <<-E\n\ta\n\tE", ("/bin/sh", "-c", "a\n")),
        ("RUN cat <<A <<B\n1\nA\n2\nB", ("/bin/sh", "-c", "cat <<A <<B\n1\nA\n2\nB")),
        ("RUN <<E python3\nx\nE", ("/bin/sh", "-c", "<<E python3\nx\nE")),
        ("RUN <<-E cat\n\tx\n\tE", ("/bin/sh", "-c", "<<-E cat\n\tx\nE")),
        ('SHELL ["/py", "-c"]\nRUN <<E\nprint()\nE', ("/py", "-c", "print()\n")),
        ("RUN", ("/bin/sh", "-c", "")),
    ],
)
def test_run_arguments(build: Build, line: str, argv: tuple[str, ...]) -> None:
    operation = last(build(f"FROM a\n{line}"))
    assert isinstance(operation, Exec)
    assert operation.argv == argv
    assert operation.files == ()


def test_heredoc_that_names_its_interpreter_is_a_file(build: Build) -> None:
    operation = last(build("FROM a\nRUN <<x.py\n#!/usr/bin/env python3\nprint()\nx.py"))
    assert operation.argv == ("/bin/sh", "-c", "/dev/pipes/x.py")
    assert operation.files == (InlineFile(name="x.py", data="#!/usr/bin/env python3\nprint()\n"),)


def test_run_state(build: Build) -> None:
    text = "FROM a\nARG X=1\nENV Y=$X\nUSER u:g\nWORKDIR w\nRUN --network=none x"
    program = build(text, hosts=("db",), build_args={"BUILDKIT_SANDBOX_HOSTNAME": "h"})
    assert last(program) == Exec(
        argv=("/bin/sh", "-c", "x"),
        env=("PATH=/bin", "FROM_BASE=1", "X=1", "Y=1"),
        cwd="/w",
        user="u:g",
        network="none",
        hostname="h",
        hosts=("db",),
    )
    assert steps(program)[0] == MakeDir(path="/w", user="u:g")


def test_network_of_the_build_is_the_default(build: Build) -> None:
    assert last(build("FROM a\nRUN x", network="none")).network == "none"
    assert last(build("FROM a\nRUN --network=host x", network="host")).network == "host"
    assert last(build("FROM a\nRUN --network=host x", allow=frozenset({"network.host"}))).network == "host"
    assert fault(build, "FROM a\nRUN --network=host x").message == "network.host is not allowed"
    assert fault(build, "FROM a\nRUN --security=insecure x").message == "security.insecure is not allowed"


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("COPY a b /d/", Copy(sources=(Selection(input=1, path="/a"), Selection(input=1, path="/b")), dest="/d/")),
        ("COPY ../../a/ x", Copy(sources=(Selection(input=1, path="/a"),), dest="/x")),
        ("COPY a* .", Copy(sources=(Selection(input=1, path="/a*", wildcard=True),), dest="/")),
        ("COPY a\\\\* /x", Copy(sources=(Selection(input=1, path="/a\\*"),), dest="/x")),
        ("WORKDIR /w\nCOPY a .", Copy(sources=(Selection(input=1, path="/a"),), dest="/w/")),
        ("WORKDIR /w\nCOPY a ./x/../y", Copy(sources=(Selection(input=1, path="/a"),), dest="/w/y")),
        ("WORKDIR /w\nCOPY . ..", Copy(sources=(Selection(input=1, path="/"),), dest="/")),
        ("COPY a /b/.", Copy(sources=(Selection(input=1, path="/a"),), dest="/b/")),
        ('COPY ["a b", "/c d"]', Copy(sources=(Selection(input=1, path="/a b"),), dest="/c d")),
        ("ENV f='a b'\nCOPY $f /x", Copy(sources=(Selection(input=1, path="/a b"),), dest="/x")),
        ("ADD a /x", Copy(sources=(Selection(input=1, path="/a", unpack=True),), dest="/x")),
        (
            "ADD http://h/d/f%20g?x=1 git@h:o/r#v1:s a /x/",
            Copy(
                sources=(
                    Selection(input=1, path="/f g"),
                    Selection(input=2, path="/"),
                    Selection(input=3, path="/a", unpack=True),
                ),
                dest="/x/",
            ),
        ),
        ("ADD --unpack http://h/ /x", Copy(sources=(Selection(input=1, path="/__unnamed__", unpack=True),), dest="/x")),
        ("ADD --unpack=false a /x", Copy(sources=(Selection(input=1, path="/a"),), dest="/x")),
        ("COPY --link a /x", Copy(sources=(Selection(input=1, path="/a"),), dest="/x", link=True)),
        ("COPY --link --chmod=1 a /x", Copy(sources=(Selection(input=1, path="/a"),), dest="/x", chmod="1")),
        ("COPY --exclude=a --exclude=b . /x", Copy(sources=(Selection(input=1, path="/"),), dest="/x", exclude=("a", "b"))),
        (
            "COPY --parents a/./b/*.c c /x",
            Copy(
                sources=(Selection(input=1, path="/a/./b/*.c", wildcard=True), Selection(input=1, path="/./c")),
                dest="/x",
                parents=True,
            ),
        ),
        ("ENV v=1\nCOPY <<E /x\n$v '$v' \\$v\nE", Copy(sources=(InlineFile(name="E", data="1 '1' $v\n"),), dest="/x")),
        ("COPY <<'E' /x\n$v\nE", Copy(sources=(InlineFile(name="E", data="$v\n"),), dest="/x")),
        ("COPY --chmod=u=rwX,go=rX a /x", Copy(sources=(Selection(input=1, path="/a"),), dest="/x", chmod="u=rwX,go=rX")),
    ],
)  # fmt: skip
def test_copy_operation(build: Build, line: str, operation: Copy) -> None:
    assert last(build(f"FROM a\n{line}")) == operation


def test_copy_reads_context_and_stages(build: Build) -> None:
    program = build(
        "FROM a AS one\nRUN 1\nFROM b\nCOPY x /\nCOPY --from=one x /\nCOPY --from=0 y /\nCOPY --from=img z /"
    )
    graph = program.graph.vertices
    read = [graph[graph[digest].inputs[1]].operation for digest in program.steps]
    assert isinstance(read[0], LocalSource) and read[0].name == "context"
    assert isinstance(read[1], Exec) and read[1] == read[2]
    assert isinstance(read[3], ImageSource)


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


# config


def test_entrypoint_clears_only_an_inherited_command(build: Build) -> None:
    assert build("FROM a").config.runtime.cmd == ("sh",)
    assert build('FROM a\nENTRYPOINT ["x"]').config.runtime.cmd is None
    assert build('FROM a\nCMD ["y"]\nENTRYPOINT ["x"]').config.runtime.cmd == ("y",)
    program = build('FROM a AS b\nCMD ["y"]\nFROM b\nENTRYPOINT ["x"]')
    assert (program.config.runtime.cmd, program.config.runtime.entrypoint) == (None, ("x",))
    assert build("FROM a\nENTRYPOINT []").config.runtime.entrypoint is None


def test_config_fields(build: Build) -> None:
    program = build(
        'FROM a\nLABEL x=1 y=2\nLABEL x=3\nEXPOSE 80\nEXPOSE 80 90\nVOLUME /v\nVOLUME ["/v", "/w"]\nSTOPSIGNAL 9\n'
        'SHELL ["/b"]\nUSER u\nWORKDIR /w\nWORKDIR d\nMAINTAINER m\nHEALTHCHECK CMD ["c"]\nENV PATH=/p FROM_BASE=2\nCMD x',
        labels=(("y", "cli"), ("z", "cli")),
    )
    runtime = program.config.runtime
    assert runtime.labels == (("x", "3"), ("y", "cli"), ("z", "cli"))
    assert runtime.exposed == ("80/tcp", "90/tcp")
    assert runtime.volumes == ("/v", "/w")
    assert (runtime.stop_signal, runtime.shell, runtime.user, runtime.workdir) == ("9", ("/b",), "u", "/w/d")
    assert runtime.healthcheck == HealthCheck(test=("CMD", "c"))
    assert runtime.env == ("PATH=/p", "FROM_BASE=2")
    assert (runtime.cmd, runtime.args_escaped) == (("/b", "x"), True)
    assert (program.config.author, program.config.created) == ("m", "")


def test_words_see_the_state_before_their_instruction(build: Build) -> None:
    assert build("FROM a\nENV a=1\nENV a=2 b=$a").config.runtime.env[-2:] == ("a=2", "b=1")
    assert own_history(build("FROM a\nARG a=1 b=$a")) == [("ARG a=1 b=1", True)]
    assert build("FROM a\nENV p='80 90'\nEXPOSE $p").config.runtime.exposed == ("80/tcp", "90/tcp")


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


def test_only_what_the_target_needs_is_asked_for(build: Build, images: Any) -> None:
    text = (
        "FROM missing AS m\nFROM a AS one\nRUN 1\nFROM missing2\nCOPY --from=m a b\nFROM b AS two\nCOPY --from=one x /"
    )
    program = build(text)
    assert images.asked == ["b", "a"] or images.asked == ["a", "b"]
    assert len(program.steps) == 1
    assert build(text, target="ONE").steps == (program.graph.vertices[program.steps[0]].inputs[1],)


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
        ("FROM scratch AS e\nFROM a\nCOPY --from=e a b", {}, '"e" has no files to copy from'),
    ],
)  # fmt: skip
def test_fault(build: Build, text: str, options: dict[str, Any], message: str) -> None:
    assert fault(build, text, **options).message.startswith(message)


def test_fault_is_drawn(build: Build) -> None:
    assert ">>> EXPOSE x" in fault(build, "FROM a\nEXPOSE x").excerpt
    assert ">>> FROM missing" in fault(build, "FROM a AS b\nFROM missing").excerpt
    assert ">>> ARG A=${}" in fault(build, "ARG A=${}\nFROM a").excerpt


def test_a_fault_in_a_stage_not_needed_is_not_found(build: Build) -> None:
    assert build("FROM a\nENV x=${}\nFROM a\nRUN 1").steps


# named contexts


def test_named_contexts(build: Build, images: Any) -> None:
    contexts = {"src": "local", "alpine": "image"}
    program = build("FROM alpine:latest\nCOPY --from=src a /", contexts=contexts)
    assert images.asked == ["alpine"]
    assert LocalSource(name="src") in [v.operation for v in program.graph.vertices.values()]
    program = build("FROM a AS src\nRUN x\nFROM b\nCOPY --from=src a /", contexts=contexts)
    assert not any(isinstance(v.operation, Exec) for v in program.graph.vertices.values())


def test_image_on_a_local_folder(build: Build) -> None:
    program = build("FROM src\nRUN x", contexts={"src": "local"})
    first, second = steps(program)
    assert first == Copy(sources=(Selection(input=0, path="/"),), dest="/", rooted=False)
    assert isinstance(second, Exec) and program.base is None
    assert len([entry for entry in program.config.history if not entry.empty_layer]) == 2


# ONBUILD


def test_triggers_of_an_image_run_first_and_once(build: Build, images: Any) -> None:
    plain: ImageConfig = build("FROM a").config
    triggers = ("COPY --from=one a /", "ENV x=1")
    images.configs["trig"] = replace(plain, runtime=replace(plain.runtime, onbuild=triggers))
    program = build("FROM a AS one\nRUN 1\nFROM trig AS child\nRUN 2\nFROM child\nRUN 3")
    assert [type(operation).__name__ for operation in steps(program)] == ["Copy", "Exec", "Exec"]
    assert program.config.runtime.onbuild == ()
    assert "[child 2/4] ONBUILD COPY --from=one a /" in names(program)
    assert "x=1" in program.config.runtime.env


def test_triggers_of_a_stage_run_in_its_child(build: Build) -> None:
    program = build("FROM a AS x\nARG V=1\nONBUILD RUN <<E\necho $V\nE\nFROM x\nRUN 2")
    assert [operation.argv[-1] for operation in steps(program)] == ["echo $V\n", "2"]
    assert steps(program)[0].env[-1] == "V=1"
    assert program.config.runtime.onbuild == ()


def test_bad_trigger_of_an_image(build: Build, images: Any) -> None:
    plain: ImageConfig = build("FROM a").config
    images.configs["t"] = replace(plain, runtime=replace(plain.runtime, onbuild=("FORM x",)))
    found = fault(build, "FROM t")
    assert "unknown instruction: FORM" in found.message
    assert ">>> FROM t" in found.excerpt


# mounts


@pytest.mark.parametrize(
    ("mount", "value"),
    [
        ("target=/m", Mount(kind="bind", target="/m", input=1)),
        ("type=bind,src=a/../b,dst=m,rw", Mount(kind="bind", target="/w/m", input=1, source="/b", readonly=False)),
        ("target=/m,ro=false", Mount(kind="bind", target="/m", input=1, readonly=False)),
        ("from=img,target=/m", Mount(kind="bind", target="/m", input=1)),
        ("from=scratch,target=/m", Mount(kind="bind", target="/m")),
        (
            "type=cache,target=/c",
            Mount(kind="cache", target="/c", readonly=False, id="/c", sharing="shared", mode=0o755),
        ),
        (
            "type=cache,id=i,target=/c,sharing=locked,mode=0700,uid=1,gid=2,ro",
            Mount(kind="cache", target="/c", id="i", sharing="locked", mode=0o700, uid=1, gid=2),
        ),
        ("type=tmpfs,target=/t,size=64m", Mount(kind="tmpfs", target="/t", readonly=False, size=64 << 20)),
        ("type=secret,id=k", Mount(kind="secret", target="/run/secrets/k", id="k", mode=0o400)),
        (
            "type=secret,id=d/k,required",
            Mount(kind="secret", target="/run/secrets/k", id="d/k", mode=0o400, required=True),
        ),
        ("type=secret,id=k,env=K", Mount(kind="secret", target="", id="k", mode=0o400, env="K")),
        ("type=secret,target=/x/y", Mount(kind="secret", target="/x/y", id="y", mode=0o400)),
        ("type=ssh", Mount(kind="ssh", target="/run/buildkit/ssh_agent.0", id="default", mode=0o600)),
        ('"target=/a,b"', Mount(kind="bind", target="/a", input=1)),
        ("type=$T,target=/t", Mount(kind="tmpfs", target="/t", readonly=False)),
    ],
)
def test_mount(build: Build, mount: str, value: Mount) -> None:
    if mount.startswith('"'):
        mount, value = "'" + mount + "'", msgspec.structs.replace(value, target="/a,b")
    program = build(f"FROM a\nENV T=tmpfs\nWORKDIR /w\nRUN --mount={mount} x")
    assert last(program).mounts == (value,)


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("type=tmp,target=/x", 'unsupported mount type "tmp"'),
        ("type=tmpsf,target=/x", 'unsupported mount type "tmpsf" (did you mean tmpfs?)'),
        ("typ=tmpfs", "unexpected key 'typ' in 'typ=tmpfs' (did you mean type?)"),
        ("x", "invalid field 'x' must be a key=value pair"),
        ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/x,mode=755", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,target=/x,uid=1", 'uid not allowed for "tmpfs" type mounts'),
        ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=cache,target=/x,sharing=lock", 'unsupported sharing value "lock"'),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=ssh,source=/x", "ssh does not support source"),
        ("target=/", 'invalid mount target "/"'),
        ("type=tmpfs,target=/x,size=big", "invalid value for size: big"),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("target=/x,ro=perhaps", "invalid value for ro: perhaps"),
    ],
)
def test_mount_fault(build: Build, mount: str, message: str) -> None:
    assert fault(build, f"FROM a\nRUN --mount={mount} x").message.startswith(message)


# what is shown


def test_names_and_spans(build: Build) -> None:
    program = build(
        "FROM a AS build\nARG V=7\nRUN make \\\n  $V '$V' $unset\nWORKDIR /\nWORKDIR /d\nFROM b\ncopy --from=build x /\n"
    )
    assert names(program) == [
        "[build 1/4] FROM a",
        "[build 2/4] RUN make   7 '$V' $unset",
        "[build 3/4] WORKDIR /d",
        "[stage-1 1/2] FROM b",
        "[stage-1 2/2] COPY --from=build x /",
    ]
    spans = [info.span for info in program.graph.info.values()]
    assert [(span.first, span.last) for span in spans if span] == [(1, 1), (3, 4), (6, 6), (7, 7), (8, 8)]
    assert all(span.file == "Dockerfile" for span in spans if span)


def test_numbers_are_padded_and_heredocs_summed_up(build: Build) -> None:
    program = build("FROM a\n" + "RUN x\n" * 9 + "RUN <<E\nfirst\nsecond\nE")
    assert names(program)[0] == "[ 1/11] FROM a"
    assert names(program)[-1] == "[11/11] RUN <<E (first...)"


def test_secrets_in_the_environment_are_masked(build: Build) -> None:
    program = build("FROM a\nENV K=old\nRUN --mount=type=secret,id=k,env=K echo $K")
    assert names(program)[-1].endswith("echo ****")


def test_same_text_gives_the_same_program(build: Build) -> None:
    text = "FROM a AS x\nRUN 1\nFROM b\nCOPY --from=x a b\nLABEL b=1 a=2\nEXPOSE 2 1"
    assert build(text) == build(text)
    moved = build(text.replace("RUN 1", "# moved\n\nRUN 1"))
    assert moved.steps == build(text).steps


def test_a_cycle_is_drawn_with_the_instructions_that_make_it(build: Build) -> None:
    text = "FROM a AS x\nCOPY --from=y a \\\n  b\nFROM a AS y\nRUN z\nRUN --mount=from=x,target=/x y\n"
    with pytest.raises(LowerFault) as caught:
        build(text)
    assert caught.value.message == "circular dependency detected on stage: x"
    assert caught.value.places == (Lines(2, 3), Lines(6, 6))
    first, second = caught.value.excerpt.split("\nDockerfile:")
    assert first.startswith("Dockerfile:6\n") and "   6 | >>> RUN --mount" in first
    assert second.startswith("2\n") and "   3 | >>>   b\n" in second


def test_a_stage_stands_only_on_earlier_ones(build: Build) -> None:
    """What FROM names makes no cycle: BuildKit looks for these among what instructions read."""
    text = 'cannot mount from stage "b" to "/x", stage needs to be defined before current command'
    with pytest.raises(LowerFault) as caught:
        build("FROM x AS a\nRUN --mount=from=b,target=/x y\nFROM a AS b")
    assert caught.value.message == text


def test_a_wrong_trigger_is_a_fault_of_the_from_line(build: Build) -> None:
    with pytest.raises(LowerFault) as caught:
        build("FROM a AS x\nONBUILD COPYY a b\n\nFROM x")
    assert (caught.value.message, caught.value.lines) == (
        "unknown instruction: COPYY (did you mean COPY?)",
        Lines(4, 4),
    )
