from __future__ import annotations

import pytest

from frontends.dockerfile.parse import parse
from frontends.dockerfile.variables import set_by
from frontends.text import Source

TEXT = b"ARG G=1\nFROM a AS one\nARG A\nARG B=2 C\nENV E=1 B=$B\nENV old value\nFROM b\nENV X=2\n"


@pytest.mark.parametrize(
    ("name", "arguments", "instruction"),
    [
        ("G", (), "ARG"),
        ("A", (), "ARG"),
        ("C", (), "ARG"),
        ("E", (), "ENV"),
        ("old", (), "ENV"),
        ("X", (), "ENV"),
        ("B", (), "ENV"),  # which gives the value that a step sees
        ("B", ("B",), "ARG"),  # unless the command line does
        ("PATH", (), ""),
        ("value", (), ""),
    ],
)
def test_the_instruction_that_sets_a_variable(name: str, arguments: tuple[str, ...], instruction: str) -> None:
    assert set_by(parse(Source("Dockerfile", TEXT)), name, dict.fromkeys(arguments, "x")) == instruction
