from __future__ import annotations

import pytest

from builder.graph.gostring import quote


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("a\nb\tc\x1b", '"a\\nb\\tc\\x1b"'),
        ("é", '"é"'),
        ("\u200b", '"\\u200b"'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted
