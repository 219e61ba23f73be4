from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.progress.clean import clean, clean_bytes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("ümlaut 漢字", "ümlaut 漢字"),
        ("a\tb", "a\tb"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x1b]0;never ends", "^[]0;never ends"),
        ("\x1bc", "^[c"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb", "a\\nb"),
        ("bell\x07 del\x7f nul\0", "bell^G del^? nul^@"),
        ("\u202eevil", "\\u202eevil"),
    ],
)
def test_control_characters_do_nothing(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("data", "shown"),
    [(b"10%\r20%\r30%", "30%"), (b"dos\r", "dos"), (b"\xff\xfebinary", "\\xff\\xfebinary"), (b"\r\r", ""), (b"", "")],
)
def test_raw_lines(data, shown):
    assert clean_bytes(data) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text):
    assert all(c == "\t" or (ord(c) >= 0x20 and not 0x7F <= ord(c) < 0xA0) for c in clean(text))
