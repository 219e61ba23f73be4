from __future__ import annotations

import pytest

from builder.errors import PolicyFault
from builder.policy.module import LIMIT, Module


def module(text: str) -> Module:
    return Module.read("p.rego", text.encode())


def test_what_a_text_says_of_itself() -> None:
    made = module(
        '# first\npackage a.b["c"]\nimport data.lib.x as y\nimport rego.v1\nimport input.image\n\n'
        "default allow := false\nallow if {\n\ty.ok(1)\n\tcount([1]) == 1\n} else := 3 if true\n"
        'f(x) := g(x)\ndeny contains $"m {h(1)}" if not allow\n'
    )
    assert made.package == ("a", "b", "c")
    assert [(one.path, one.alias, one.line) for one in made.imports] == [
        (("data", "lib", "x"), "y", 3),
        (("rego", "v1"), "v1", 4),
        (("input", "image"), "image", 5),
    ]
    assert made.names == {"allow", "f", "deny"}
    assert [(call.name, call.line) for call in made.calls()] == [("y.ok", 9), ("count", 10), ("g", 12), ("h", 13)]


def test_another_package_keeps_the_lines() -> None:
    moved = module("# c\npackage a.b\nx := 1\n").moved(("lib", "y"))
    assert moved.text == "# c\npackage lib.y\nx := 1\n"
    assert module('package a["b"]\nx := 1\n').moved(("c",)).text == "package c\nx := 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.rego:1: rego_parse_error: package expected"),
        ("x := 1\n", "p.rego:1: rego_parse_error: package expected"),
        ("package\n", "p.rego:1: rego_parse_error: the name of a package"),
        ("package 1\n", "p.rego:1: rego_parse_error: the name of a package"),
        ("package a\nx := '1'\n", r"p.rego:2: rego_parse_error: unexpected \"'\""),
        ('package a\nx := "a\n', "p.rego:2: rego_parse_error: unexpected"),
        ('package a\n\nx := $"{1', "p.rego:3: rego_parse_error: a template string is not ended"),
        ('package a\nx := $"a', "p.rego:2: rego_parse_error: a template string is not ended"),
        ("package a\nx := 1\0\n", "p.rego:2: rego_parse_error: a NUL"),
        ("package a\n" + "#" * LIMIT, "has at most"),
    ],
)
def test_what_is_no_module(text: str, message: str) -> None:
    with pytest.raises(PolicyFault, match=message):
        module(text)


def test_no_text_at_all() -> None:
    with pytest.raises(PolicyFault, match=r"p\.rego:2: rego_parse_error: no UTF-8"):
        Module.read("p.rego", b"package a\nx := \xff\n")
