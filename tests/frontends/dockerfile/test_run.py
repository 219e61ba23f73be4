from __future__ import annotations

import pytest

from builder.graph.operation import Exec, InlineFile, MakeDir
from tests.frontends.dockerfile.programs import Build, fault, last, steps


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
