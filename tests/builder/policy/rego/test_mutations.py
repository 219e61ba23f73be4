"""Whatever the text of a policy is: it has a value, or none, or a fault with words in it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.policy.names import HELPERS
from tests.fuzz.targets import rego

PLAIN = """
    package import as default if else not some every in contains with null true false input data x y f g _ v p
    . , ; : := = == != < > + - * / % & | ( ) [ ] { } 1 2.5 1e3 1e999 `b` count( sprintf( f( x. x[ f.g( a.b.c
"""
WORDS = [
    *PLAIN.split(),
    *("\n", '"', '"a"', "\\", "#", '$"{x}y"', "$`{", "input.a", "data.docker.v", "\u2028", "é", "\x01"),
    *("with input as", "some x in", "every x, y in"),
]
POLICIES = (
    HELPERS.partition("\n")[2],
    """
default allow := false
allow if { input.image.repo in {"a", "b"}; not deny }
deny contains m if m := $"x {input}"
""",
    """
default f.g(_) := 1
f.g(x) := y if { some y in [x]; y > 2 } else := 3
v := [f.g(i) | some i, _ in input]
""",
    """
p[k] := v if some k, v in {"a": 1}
q := w if { w := p with data.docker.p as 3 }
r := n if n := count([]) with count as 7
""",
    """
v if { every k, x in {"a": [1, 2]} { count(x, n); n == 2 }; {"a": z} = {"a": 1}; z in [1] }
""",
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_words(words: list[str]) -> None:
    rego(" ".join(words).encode())


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(POLICIES))
def test_changed_policies(data: st.DataObject, text: str) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 8)))
        text = text[:begin] + data.draw(st.sampled_from([*WORDS, ""])) + text[end:]
    rego(text.encode())
