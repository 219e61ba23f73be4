# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

from tests.frontends.dockerfile.programs import Build, names


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
