"""Which variable a name is: one inside hides one outside, as in OPA."""

from __future__ import annotations

import pytest

from builder.errors import PolicyFault
from tests.builder.policy.conftest import Asked


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("v := y if { x := 1; y := [x | x := 2] }", [2]),
        ("v := y if { x := 1; y := [x | some x in [5]] }", [5]),
        ("v := y if { x := 1; y := [z | some x; [4, 5][x]; z := x] }", [0, 1]),
        ("v := y if { x := 1; y := [z | z := x; x := 3; z < x] }", [1]),
        ('v := y if { y := {x | {"a", "b"}[x]}; x := 1; x > 0 }', ["a", "b"]),
        ('v := x if { y := {x | {"a", "b"}[x]}; x := count(y) }', 2),
        ("v if { x := 1; every x in [2] { x == 2 } }", True),
        ("x := 3\nv := y if { x := 4; y := x }", 4),
        ("x := 3\nv := [x | y := x; y > 1]", [3]),
        ("v := f(1)\nf(x) := [x, y] if y := [x | x := 2]", [1, [2]]),
        ("v := f(1)\nf(x) := 0 if { y := x; y > 1 }\nelse := y if y := x + 1", 2),
        ("v if { _ := 1; _ := 2 }", True),
        ("v := [x, y] if { some x, y; [1, 2][x] == 2; y = x }", [1, 1]),
        ("v := [y | x := [1, 2][_]; y := [x | x := x + 1][0]]", [2, 3]),
    ],
)
def test_values(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", None, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("v if { x := 1; x := 1 }", ":2: rego_compile_error: var x assigned above"),
        ("v if { x == 1\nx := 1 }", ":3: rego_compile_error: var x referenced above"),
        ("v if { not x; x := 1 }", "var x referenced above"),
        ("v if { some x; x := 1 }", "var x declared above"),
        ("v if { some x, x; x = 1 }", "var x declared above"),
        ("v if { some x in [1]; some x in [2] }", "var x declared above"),
        ("v if { some x; true }", "declared var x unused"),
        ("v := [1 | some x; true]", "declared var x unused"),
        ("v := 1 if false\nelse := 2 if { some x; true }", "declared var x unused"),
        ("f(x) := 1 if { x := 2 }", "arg x redeclared"),
        ("f(x) := 1 if { some x in [2] }", "arg x redeclared"),
        ("v if { every x in [1] { x := 1 } }", "var x declared above"),
        ("v if { input := 1 }", "variables must not shadow input"),
        ("f(data) := 1", "variables must not shadow data"),
        ("v if { some input in [1] }", "variables must not shadow input"),
        ("input := 1", "rules must not shadow input"),
        ("v if { 1 := 1 }", "can be assigned to"),
        ("v if { [x, 1] := [2, 1] }", "can be assigned to"),
        ("v if { count([1]) := x }", "can be assigned to"),
        ("v if { y := [x | x := x] }", "var x is unsafe|var x referenced above"),
    ],
)
def test_what_is_an_error(asked: Asked, rules: str, message: str) -> None:
    with pytest.raises(PolicyFault, match=message):
        asked.value(f"package docker\n{rules}\n", None, "data.docker.v")
