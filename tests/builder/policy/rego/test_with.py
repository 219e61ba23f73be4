"""`with`: what it puts in place of input, data and functions, as in OPA."""

from __future__ import annotations

import pytest

from builder.errors import PolicyFault
from tests.builder.policy.conftest import Asked


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("v := x if x := f(1) with f as 1\nf(_) := 2", 1),
        ("v := x if x := f(1) with f as f0\nf(_) := 2\nf0 := 3", 3),
        ("v := x if x := f([1]) with f as count\nf(_) := 2", 1),
        ('v := x if x := upper("Ab") with upper as lower', "ab"),
        ("v := x if { n := 7; x := w with f as n }\nw := f(0)\nf(_) := 2", 7),
        ("v := x if x := a.f(1) with a.f as 5\na.f(_) := 2", 5),
        ("f(x) := upper(x)\ng(x) := lower(x)\nv := x if x := f(\"a\") with upper as g with lower as 5", "a"),
        ("v := x if x := w with data.x.a as 1\nw := z if z := u with data.x.b as 2\nu := data.x", {"a": 1, "b": 2}),
        (
            'v := x if x := w with data.x as {"a": 1, "b": 0}\nw := z if z := u with data.x.b as 2\nu := data.x',
            {"a": 1, "b": 2},
        ),
        ("v := x if x := w with data.x.b as 1\nw := z if z := u with data.x as 2\nu := data.x", 2),
        ("v := x if x := data.x with data as {\"x\": 1}", 1),
    ],
)  # fmt: skip
def test_values(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", None, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("v if f(1) with f as g\nf(x) := 1\ng(x, y) := 1", "g cannot stand in for what has other arguments"),
        ("v if count([]) with count as plus", "plus cannot stand in for what has other arguments"),
        ("v if true with input as f\nf(x) := 1", "f cannot stand in for what has other arguments"),
        ("v if true with input as count", "count cannot stand in for what has other arguments"),
        ("v if f(1) with f as input.none\nf(x) := 1", "the value of `with` is undefined"),
        ("v if true with input.x as input.none", "the value of `with` is undefined"),
        ("v if { x := 1; true with input[x] as 2 }", "`with` puts something in place of"),
        ("v if true with data[1] as 2", "`with` puts something in place of"),
        ("v if true with print as 2", "undefined function print"),
        ("v if true with nothing as 2", "undefined function nothing"),
        ("a := {}\nv if true with data.docker.a.b as 2", "with keyword cannot partially replace virtual document"),
    ],
)
def test_what_is_an_error(asked: Asked, rules: str, message: str) -> None:
    with pytest.raises(PolicyFault, match=message):
        asked.value(f"package docker\n{rules}\n", None, "data.docker.v")
