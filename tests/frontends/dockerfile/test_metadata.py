# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

import pytest

from builder.oci.config import HealthCheck
from tests.frontends.dockerfile.programs import Build, own_history

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
