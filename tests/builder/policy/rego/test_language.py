"""Less common forms of Rego, with what OPA makes of them."""

from __future__ import annotations

import pytest

from builder.errors import PolicyFault
from tests.builder.policy.conftest import Asked


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("v := n if count([1, 2], n)", 2),
        ("v if { plus(1, 2, n); n == 3 }", True),
        ("default v := false\nv if plus(1, 2, 4)", False),
        ("v := n if { f(3, n) }\nf(x) := x * 2", 6),
        ("v := n if { f(3, false) ; n := 1 }\nf(x) := false", 1),
        ("v if { eq(x, 3); x == 3 }", True),
        ("v if not f(3, 7)\nf(x) := x * 2", True),
        ("v if { a.b.f(3, n); n == 6 }\na.b.f(x) := x * 2", True),
    ],
)
def test_the_output_of_a_call_as_its_last_argument(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", None, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("v := [a.b.c, a.b.d]\na.b.c := 1\na.b.d := a.b.c + 1", [1, 2]),
        ("v := a.f(1)\ndefault a.f(_) := 42\na.f(x) := x if x > 5", 42),
        ("v := a.f(6)\ndefault a.f(_) := 42\na.f(x) := x if x > 5", 6),
        ("default a.b := 1\nv := a.b", 1),
        ('v := a\na[x] := 1 if some x in ["k"]\na.b := 2', {"k": 1, "b": 2}),
        ("v := a\na.b := 1\na.f(x) := x", {"b": 1}),
        ('v := a.b\na.b contains "x"\na.b contains "y" if true', ["x", "y"]),
        ('v := a["x y"].z\na["x y"].z := 3', 3),
    ],
)
def test_names_of_several_parts(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", None, "data.docker.v") == value


@pytest.mark.parametrize(
    "word", ["if", "else", "import", "package", "not", "some", "every", "in", "true", "with", "as"]
)
def test_keywords_within_references(asked: Asked, word: str) -> None:
    text = (
        f"package docker\n{word}.x := 1\nx.{word} := 2 if input.{word}\nelse := 9\n{word}.f(x) := x + 1\n"
        f"v := [{word}.x, x.{word}, {word}.f(5), data.docker.{word}.x]\nw if {{\n{word}.x == 1\nnot {word}.x == 2 }}\n"
    )
    assert asked.value(text, {word: True}, "data.docker.v") == [1, 2, 6, 1]
    assert asked.value(text, {word: True}, "data.docker.w") is True


def test_a_package_may_have_a_keyword_in_its_name(asked: Asked) -> None:
    assert asked.value("package docker.if\n\nv := 1\n", None, "data.docker.if.v") == 1


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[x | x := (0, 2 in [2])]", [True]),
        ("{(1, 1 in [2])}", [False]),
        ("[1, 1 in [2]]", [1, False]),
        ('("k", 2 in {"k": 2}) in [true]', True),
        ("1 in [2] in [false]", True),
        ("(1 in [1]) == true", True),
        ("$`{1},\n{true},\n{2}`", "1,\ntrue,\n2"),
        ("$`\\{1} {1}`", "{1} 1"),
        ('$"\\{1} {$"{1}"}"', "{1} 1"),
        ('$"a {input.x with input as {"x": 4}} {input.y with input as {}}"', "a 4 <undefined>"),
    ],
)
def test_membership_and_templates(asked: Asked, expression: str, value: object) -> None:
    assert asked.value(f"package docker\nv := {expression}\n", None, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("v if { 1, 2 in [2] in [false] }", True),
        ("v if { every x in input { x == 1 } with input as [1, 1] }", True),
        ("v if { every x in [1] { x in input } with input as [1] }", True),
        ("v if {x: y | some x, y in [1]}", True),
        ('v if {"a": 1}.a == 1', True),
        ("default v := 1\nv := 2 if { false }", 1),
        ("v if { true }\nelse := 3", True),
        ('v := [x, y] if { {"a": x, "b": 2} = {"a": 1, "b": y} }', [1, 2]),
        ('v := x if { {"a": [x], "b": w} = {"a": [3], "b": x} }\nw := 3', 3),
        ('default v := 0\nv if { {"a": 1} = {"b": 1} }', 0),
    ],
)
def test_bodies(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", None, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("v := count([1], 2, 3)", "function count has 1 arguments, not 3"),
        ("v := count([1], 2)", "function count has 1 arguments, not 2"),
        ("v if count([1], 2, 3)", "function count has 1 arguments, not 3"),
        ("v if not count()", "function count has 1 arguments, not 0"),
        ("v if { f(1, 2, 3) }\nf(x) := x", "function f has 1 arguments, not 3"),
        ("a.b := 1\na.b.c := 2", "rule data.docker.a.b conflicts"),
        ("a.b.c := 1\na.b := 2", "rule docker.a.b is the name of a package"),
        ("a[x].f(y) := 1 if x := 1", "names of functions and of default rules have no variables"),
        ("default a[x] := 1", "names of functions and of default rules have no variables"),
        ("v if { f(1) with g.h as 2 }\nf(x) := x", "undefined function g.h"),
        ("v := 2e308", "a number as in JSON, below 1.8e308, was expected"),
        ("v := 007", "a number as in JSON, below 1.8e308, was expected"),
        ("v if not not true", "an expression was expected, there is 'not'"),
        ('v := f("a")\nf($"{x}") := x', "var x is unsafe"),
        ("v if 1, 2", "'in' was expected"),
        ("v := (1, 2)", "'in' was expected"),
        ("v if {1, 2}", "'in' was expected"),
    ],
)
def test_what_is_an_error(asked: Asked, rules: str, message: str) -> None:
    with pytest.raises(PolicyFault, match=message):
        asked.value(f"package docker\n{rules}\n", None, "data.docker.v")
