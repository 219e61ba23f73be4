"""What policies are made of, by the words of OPA's documentation: the engine is not OPA's own."""

from __future__ import annotations

from typing import Any

import pytest

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
