from __future__ import annotations

import pytest

from frontends.errors import FrontendFault, ParseFault
from frontends.text import Lines, Source, did_you_mean, suggest

SOURCE = Source("Dockerfile", b"FROM alpine\n\nRUN false\n\nRUN true\n")


@pytest.mark.parametrize(
    ("lines", "drawn"),
    [
        (
            Lines(3, 3),
            (
                "Dockerfile:3\n--------------------\n   1 |     FROM alpine\n   2 |     \n   3 | >>> RUN false\n"
                "   4 |     \n   5 |     RUN true\n--------------------"
            ),
        ),
        (
            Lines(3, 4),
            (
                "Dockerfile:3\n--------------------\n   2 |     \n   3 | >>> RUN false\n   4 | >>> \n"
                "   5 |     RUN true\n--------------------"
            ),
        ),
        (
            Lines(1, 1),
            (
                "Dockerfile:1\n--------------------\n   1 | >>> FROM alpine\n   2 |     \n   3 |     RUN false\n"
                "--------------------"
            ),
        ),
        (
            Lines(5, 5),
            (
                "Dockerfile:5\n--------------------\n   3 |     RUN false\n   4 |     \n   5 | >>> RUN true\n"
                "   6 |     \n--------------------"
            ),
        ),
        (Lines(9, 9), ""),
    ],
)
def test_excerpt(lines: Lines, drawn: str) -> None:
    assert SOURCE.excerpt(lines) == drawn


def test_excerpt_of_very_much() -> None:
    drawn = Source("D", b"RUN " + b"x" * 10_000_000 + b"\nRUN y\n").excerpt(Lines(1, 1))
    assert len(drawn) < 2000
    assert "x… and 9999004 characters more\n   2 |     RUN y" in drawn
    drawn = Source("D", b"x\n" * 100_000).excerpt(Lines(2, 90_000))
    assert drawn.endswith("  40 | >>> x\n     | and 89961 lines more\n--------------------")


def test_excerpt_of_bytes_that_are_not_utf8() -> None:
    assert "� x" in Source("D", b"\xff x").excerpt(Lines(1, 1))


def test_fault_takes_its_place_once() -> None:
    fault = ParseFault("no").at(SOURCE, Lines(3, 3))
    assert isinstance(fault, ParseFault)
    assert fault.at(SOURCE, Lines(1, 1)).lines == Lines(3, 3)
    assert fault.excerpt.startswith("Dockerfile:3\n")
    assert FrontendFault("no place").excerpt == ""


@pytest.mark.parametrize(
    ("word", "known", "match"),
    [
        ("FORM", ["FROM", "RUN"], "FROM"),
        ("form", ["FROM", "RUN"], "from"),
        ("RUN", ["FROM", "RUN"], ""),
        ("XYZZY", ["FROM", "RUN"], ""),
        ("cpy", ["COPY", "CMD"], "copy"),
    ],
)
def test_suggest(word: str, known: list[str], match: str) -> None:
    assert suggest(word, known, ignore_case=True) == match


def test_suggestion_keeps_case_where_case_counts() -> None:
    assert did_you_mean("mont", ["mount", "network"]) == " (did you mean mount?)"
    assert did_you_mean("MOUNT", ["mount"]) == ""
