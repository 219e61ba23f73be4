"""Waiting between repeats."""

from __future__ import annotations

import pytest

from builder.transport.settings import Retries, retry_after


def test_pauses_double_up_to_the_last_attempt() -> None:
    assert [Retries(attempts=4, first=1).pause(n) for n in (1, 2, 3, 4)] == [1, 2, 4, None]
    assert Retries(attempts=9, first=1, longest=3).pause(5) == 3


def test_a_server_may_ask_for_more_but_not_for_ever() -> None:
    retries = Retries(attempts=4, first=1, longest=10)
    assert retries.pause(1, asked=0) == 1
    assert retries.pause(1, asked=7) == 7
    assert retries.pause(1, asked=11) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after({"retry-after": text}, now=10) == expected


def test_no_retry_after() -> None:
    assert retry_after({}, now=0) is None
