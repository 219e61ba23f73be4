# ruff: noqa: E501 (rows of a table stay on one line)
from __future__ import annotations

import pytest

from builder.graph.operation import Copy, Exec, ImageSource, InlineFile, LocalSource, Selection
from tests.frontends.dockerfile.programs import Build, last


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
