from __future__ import annotations

import pytest

from frontends.dockerfile.gotext import duration, parse_duration, plain_list, quote, quoted_list
from frontends.errors import ParseFault


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", '"a"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("\t\n\r\a\b\f\v", '"\\t\\n\\r\\a\\b\\f\\v"'),
        ("\x00\x1b\x7f", '"\\x00\\x1b\\x7f"'),
        ("é☺", '"é☺"'),
        ("\u00a0\u200b", '"\\u00a0\\u200b"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_lists() -> None:
    assert (quoted_list(("a", "b c")), quoted_list(())) == ('["a" "b c"]', "[]")
    assert plain_list(("a", "b c")) == "[a b c]"


@pytest.mark.parametrize(
    ("text", "nanoseconds", "shown"),
    [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("5s", 5 * 10**9, "5s"),
        ("1m30s", 90 * 10**9, "1m30s"),
        ("90s", 90 * 10**9, "1m30s"),
        ("1h", 3600 * 10**9, "1h0m0s"),
        ("1.5s", 1_500_000_000, "1.5s"),
        (".5s", 500_000_000, "500ms"),
        ("1500us", 1_500_000, "1.5ms"),
        ("2µs", 2_000, "2µs"),
        ("7ns", 7, "7ns"),
        ("-3s", -3 * 10**9, "-3s"),
        ("1h1m1.001s", 3_661_001_000_000, "1h1m1.001s"),
    ],
)
def test_durations(text: str, nanoseconds: int, shown: str) -> None:
    assert parse_duration(text) == nanoseconds
    assert duration(nanoseconds) == shown


@pytest.mark.parametrize(
    "text", ["", "-", "+", ".", "s", "1", "1x", "1..2s", "1s2", "٣s", "9999999999h", "1" * 50 + "s"]
)
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ParseFault):
        parse_duration(text)
