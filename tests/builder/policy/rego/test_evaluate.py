"""What policies are made of, by the words of OPA's documentation: the engine is not OPA's own."""

from __future__ import annotations

from typing import Any

import pytest

from builder.errors import PolicyFault
from tests.builder.policy.conftest import Asked

GIVEN: dict[str, Any] = {"image": {"repo": "library/debian", "tag": "1.10.2", "labels": {"a": "x", "b": "y"}}, "n": 3}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('input.image.repo in {"library/debian", "b"}', True),
        ("input.image.none", None),
        ('input.image.labels["a"]', "x"),
        ("[k | some k, _ in input.image.labels]", ["a", "b"]),
        ("{v | some v in input.image.labels}", ["x", "y"]),
        ("{k: upper(v) | some k, v in input.image.labels}", {"a": "X", "b": "Y"}),
        ("count(input.image.labels)", 2),
        ("[x | x := [1, 2, 3][_]; x > 1]", [2, 3]),
        ("sum([1, 2.5])", 3.5),
        ("7 % 3 + 2 * 3", 7),
        ("10 / 4", 2.5),
        ("input.n == 3.0", True),
        ("max({1, 5, 3})", 5),
        ('sprintf("%s:%d %v %q", ["a", 3, {"x": [1]}, "y"])', 'a:3 {"x": [1]} "y"'),
        ('concat("/", ["a", "b"])', "a/b"),
        ('split("a/b/c", "/")[1]', "b"),
        ('startswith("abc", "ab")', True),
        ('trim_prefix("v1", "v")', "1"),
        ('replace("a-b-c", "-", "+")', "a+b+c"),
        ('contains("abc", "bc")', True),
        ('lower("ÄB")', "äb"),
        ('indexof("abc", "c")', 2),
        ('substring("abcdef", 2, 3)', "cde"),
        (r'regex.match(`^v?\d+\.\d+$`, "v1.2")', True),
        (r'regex.find_all_string_submatch_n(`^(\w+)/(\w+)$`, "ab/cd", 1)', [["ab/cd", "ab", "cd"]]),
        ('glob.match("*.example.com", ["."], "a.example.com")', True),
        ('glob.match("*.example.com", ["."], "a.b.example.com")', False),
        ('semver.compare("1.10.2", "1.9.0")', 1),
        ('semver.is_valid("1.2")', False),
        ('to_number("12")', 12),
        ('to_number("x")', None),
        ('time.parse_rfc3339_ns("1970-01-01T00:00:01Z")', 1_000_000_000),
        ('json.unmarshal("{\\"a\\": [1, null]}")', {"a": [1, None]}),
        ('base64.decode("YWI=")', "ab"),
        ('object.get({"a": 1}, "b", 7)', 7),
        ('object.union({"a": 1}, {"b": 2})', {"a": 1, "b": 2}),
        ("{1, 2} & {2, 3}", [2]),
        ("{1, 2} | {2, 3}", [1, 2, 3]),
        ("{1, 2} - {2}", [1]),
        ("numbers.range(1, 3)", [1, 2, 3]),
        ("array.concat([1], [2])", [1, 2]),
        ("is_string(1)", False),
        ("1 == 2", False),
        ('"é\\n" == "\\u00e9\\n"', True),
    ],
)
def test_expressions(asked: Asked, expression: str, value: object) -> None:
    outcome, _ = asked.policy(f"package docker\nv := {expression}\n").evaluate(GIVEN, "data.docker.v")
    assert (outcome.value, outcome.defined) == (value, value is not None)


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("default v := 1\nv := 2 if input.none", 1),
        ("default v := 1\nv := 2 if input.n == 3", 2),
        ("v := 1 if input.none\nelse := 2 if input.nope\nelse := 3", 3),
        ("default f(_) := 9\nf(x) := x if x > 5\nv := [f(1), f(6)]", [9, 6]),
        ("f(1) := 2\nf(2) := 3\nv := f(2)", 3),
        ("v contains 1\nv contains 2 if false\nv contains 3 if true", [1, 3]),
        ('v["a"] := 1\nv["b"] := 2', {"a": 1, "b": 2}),
        ("v if { every x in [1, 2] { x > 0 } }", True),
        ("default v := false\nv if { every x in [1, -2] { x > 0 } }", False),
        ("v := x if { some x in [3, 4]; x > 3 }", 4),
        ("default v := false\nv if not a\na if input.none", True),
        ("v := [i | [1, 2, 1][i] == 1]", [0, 2]),
        ("v := y if { x := 1; y := x + 1 }", 2),
        ("v if { [1, x] = [y, 2]; x == 2; y == 1 }", True),
        ("v if { a; b }\na if true\nb if { true; 1 < 2 }", True),
        ("a.b.c := 5\nv := a.b.c", 5),
        ('default v := false\nv if not input.image.repo in {"b"}', True),
    ],
)
def test_rules(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", GIVEN, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ('v := x if x := w with input as {"n": 7}\nw := u\nu := input.n', 7),
        ("v := [w, u] if { u := w with input.n as 8 }\nw := input.n", [3, 8]),
        ("v if { not allow with input as {} }\nallow if input.n", True),
        ("v := x if x := f(1) with f as g\nf(x) := x\ng(x) := x + 1", 2),
        ("v := x if x := count([1]) with count as 5", 5),
        ("v := x if x := data.x.y with data.x.y as 4", 4),
        ("v := x if x := w with data.docker.u as 9\nw := u\nu := 1", 9),
        ("v := x if x := input with input as [1]", [1]),
    ],
)
def test_with(asked: Asked, rules: str, value: object) -> None:
    assert asked.value(f"package docker\n{rules}\n", GIVEN, "data.docker.v") == value


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        ("v := input.image.labels.a", ("image.labels",)),
        ('v := input["image"]["labels"]', ("image.labels",)),
        ("v if { input.n == 4; input.image.labels }", ()),
        ("v if { i := input.image; f(i) }\nf(x) if x.labels", ("image.labels",)),
        ('v := input.image[x] if x := "labels"', ("image.labels",)),
        ("v := [k | some k, _ in input.image]", ("image.env", "image.labels")),
        ("v if input.image == {}", ("image.env", "image.labels")),
        ("v if input.image", ()),
        ("v := input.image.repo", ()),
        ('v := object.get(input.image, "labels", 1)', ("image.labels",)),
        ('v := sprintf("%v", [input.image])', ()),
        ("v := json.marshal(input)", ()),
        ("v := [1 | input.image.labels]", ("image.labels",)),
        ("v if not input.image.labels.x", ("image.labels",)),
    ],
)
def test_what_is_not_known_is_asked_for_when_it_is_looked_at(asked: Asked, rule: str, needs: tuple[str, ...]) -> None:
    given = {"image": {"repo": "a"}, "n": 3}
    policy = asked.policy(f"package docker\n{rule}\n")
    unknown = [["image", "labels"], ["image", "env"]]
    assert policy.evaluate(given, "data.docker.v", None, unknown)[0].needs == needs


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("v := 1\nv := 2", r"p\.rego:3: eval_conflict_error: complete rules must not produce multiple outputs"),
        ("v[1] := 1\nv[1] := 2", "object keys must be unique"),
        ("f(_) := 1\nf(_) := 2\nv := f(1)", "functions must not produce multiple outputs"),
        ('v := {k: x | some x in [1, 2]; k := "a"}', "object keys must be unique"),
        ("v := 1\nv contains 2", "conflicting rules data.docker.v found"),
        ("default v := 1\ndefault v := 2", "multiple default rules"),
        ("f(x) := x\nv := f(1, 2)", "function f has 1 arguments, not 2"),
        ("v := load_json(1, 2)", "load_json has 1 arguments, not 2"),
        ("f(x) := 1\nf(x, y) := 2\nv := 1", "conflicting rules"),
        ("v if { x := 1 } else = 2 { true }", "`if` keyword is required before rule body"),
        ("v { true }", "`if` keyword is required before rule body"),
        ("v if {}", "a body that is not empty was expected"),
        ("v := 1 2", "the end was expected, there is '2'"),
        ("v if { true false }", "a new line or ; was expected"),
        ("v := [1, 2", "was expected, the statement ends"),
        ("v := " + "(" * 300 + "1" + ")" * 300, "nested more than 200 deep"),
        ('v := "\\q"', "invalid escape in a string"),
        ("package_ := 1\nv := package", "a name was expected"),
    ],
)
def test_what_is_an_error(asked: Asked, rules: str, message: str) -> None:
    with pytest.raises(PolicyFault, match=message):
        asked.value(f"package docker\n{rules}\n", GIVEN, "data.docker.v")
