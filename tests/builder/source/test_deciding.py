from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.source.ignore import Ignore, Rule, deciding, read_patterns

FILE = b"""\
# words

*.log
!keep.log
/dir/
!dir/in
**/x
"""


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("a", None),
        ("a.log", Rule(3, "*.log")),
        ("keep.log", Rule(4, "!keep.log")),
        ("dir", Rule(5, "dir")),
        ("dir/deep/file", Rule(5, "dir")),
        ("dir/in", Rule(6, "!dir/in")),
        ("dir/in/x", Rule(7, "**/x")),
        ("other/x/y", Rule(7, "**/x")),
    ],
)
def test_the_line_that_decides(path: str, rule: Rule | None) -> None:
    assert deciding(FILE, path) == rule
    assert Ignore(read_patterns(FILE)).excluded(path) == (rule is not None and rule.hides)


words = st.sampled_from(["a", "b", "ab", "*", "?", "**", "a*", "**/b"])
patterns = st.lists(st.tuples(st.booleans(), st.lists(words, min_size=1, max_size=3)), max_size=6)
paths = st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=4).map("/".join)


@given(patterns, paths)
def test_it_says_what_the_matcher_does(lines: list[tuple[bool, list[str]]], path: str) -> None:
    text = "\n".join(f"{'!' if exception else ''}{'/'.join(parts)}" for exception, parts in lines).encode()
    rule = deciding(text, path)
    assert Ignore(read_patterns(text)).excluded(path) == (rule is not None and rule.hides)
