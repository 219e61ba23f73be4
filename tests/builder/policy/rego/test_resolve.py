from __future__ import annotations

import pytest

from builder.errors import PolicyFault
from builder.policy.loaded import loaded
from builder.policy.names import FUNCTIONS
from builder.policy.rego.builtins import ARITIES
from builder.policy.rego.faults import RegoError
from builder.policy.rego.program import compiled
from tests.builder.policy.conftest import Files

HEAD = "package docker\n"


def read(text: str, **files: str) -> None:
    held = Files({f"{n}.rego": t.encode() for n, t in files.items()})
    compiled(loaded([("p.rego", (HEAD + text).encode())], held), {**ARITIES, **FUNCTIONS})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("allow if not nosuch(1)", "p.rego:2: rego_type_error: undefined function nosuch"),
        ("allow if not http.send({})", "undefined function http.send"),
        ("allow if not opa.runtime()", "undefined function opa.runtime"),
        ("allow if not net.lookup_ip_addr(1)", "undefined function net.lookup_ip_addr"),
        ("allow if not data.other.f(1)", "undefined function data.other.f"),
        ("import data.lib\nallow if not lib.g(1)", "undefined function lib.g"),
        ("allow if {\n\ttrue\n\tnot is_okk\n}\nis_ok := 1", "p.rego:4: rego_unsafe_var_error: var is_okk is unsafe"),
        ("allow if not y > 3", "var y is unsafe"),
        ("f(x) if x == y", "var y is unsafe"),
        ("allow if y == 1", "var y is unsafe"),
        ('allow if startswith(x, "a")', "var x is unsafe"),
        ("allow := [y | some x in [1]]", "var y is unsafe"),
        ("default allow := x", "the value of a default rule cannot contain variables"),
        ("default allow := [input.x]", "the value of a default rule cannot contain variables"),
        ("default allow := 1 + 1", "the value of a default rule cannot contain variables"),
        ("default f(1) := 2", "a default rule has variables for arguments, each once"),
        ("default f(x, x) := 2", "a default rule has variables for arguments, each once"),
        ("v[x] := 1 if x := 1\nelse := 2", "else cannot be used on rules with variables in their names"),
        ("v[x] := 1 if x := 1\nv.a := 1 if false\nelse := 2", "p.rego:3: .*rule data.docker.v.a cannot have else"),
        ("v contains 1 if false\nelse := 2", "the end was expected, there is 'else'"),
        ("import input.a\nimport input.b.a", "p.rego:3: rego_compile_error: import must not shadow a"),
        ("import input.a as data", "import must not shadow data"),
        ("import foo.a", "import foo.a must begin with data or input"),
        ("import rego.v2", "invalid import rego.v2"),
        ("import future.x", "invalid import future.x"),
        ("v if any([true])", "undefined function any"),
        ('m := $"a {z}"', "var z is unsafe"),
        ("p if q\nq if p", "rule data.docker.p is recursive: data.docker.p -> data.docker.q -> data.docker.p"),
        ("p if false\nelse := p", "rule data.docker.p is recursive"),
        ("f(x) := f(x - 1) if x > 0", "rule data.docker.f is recursive"),
        ("p if not data.docker[x].y", "rule data.docker.p is recursive"),
        ("p := [1 | data]", "rule data.docker.p is recursive"),
        ("p if { true with input.x as p }", "rule data.docker.p is recursive"),
        ("p if q with input as 1\nq if p with data.docker.p as 2", "is recursive"),
    ],
)
def test_what_opa_refuses_is_refused(text: str, message: str) -> None:
    with pytest.raises(RegoError, match=message):
        read(text, lib="package lib\nf(x) := x\n")


@pytest.mark.parametrize(
    "text",
    [
        "allow if { x := 1; x > 0 }",
        "allow if { x = 1\n x > 0 }",
        "allow if { 1 = x; x > 0 }",
        "allow if { some x in [1]; x > 0 }",
        'allow if { some k, v in {"a": 1}; v > 0; k }',
        'allow if { some [k, v] in [[1, 2]]; v > k }',
        "allow if {\n some i\n [1][i] > 0\n}",
        "allow if [1][i] > 0",
        "allow if { every x in [1] { x > 0 } }",
        'allow if { [a, b] := split("a:b", ":"); a != b }',
        'allow if { {"k": v} = {"k": 1}; v }',
        "f(x, [y, _], {\"z\": z}) := x + y + z",
        "f(x) := y if { y := x } else := x",
        "s := {x | x := 1}\no := {k: v | some k, v in [1]}",
        "deny contains msg if { msg := sprintf(\"%s\", [input.image.repo]) }",
        "m[k] := v if { some k, v in [1] }",
        "import data.lib as l\nallow if l.f(1)",
        "import data.lib\nallow if lib.f(1)\nb if data.lib.f(2)",
        "allow if { json.marshal(input) with input as {} }",
        "allow if load_json(\"x\") with load_json as mock\nmock(x) := x",
        "import input.image\nallow if image.repo",
        'allow if docker_github_builder(input.image, "a/b")',
        "g(x) if f(x)\nf(1) if true\nf(2) if true",
        'm := $"a {x} b" if x := 1',
        "allow if {\n\tsome sig in input.image.signatures\n\tsig.kind\n}",
    ],
)  # fmt: skip
def test_what_opa_takes_is_taken(text: str) -> None:
    read(text, lib="package lib\nf(x) := x\n")


@pytest.mark.parametrize("path", ["data.none", 'data.x["../../etc/passwd"]', 'data.x["a/b"]', 'data["a\\u0000"]'])
def test_imports_are_files_of_the_context(path: str) -> None:
    with pytest.raises(PolicyFault, match=r"p.rego:2: import data\..* not found for module p.rego"):
        read(f"import {path} as it\nallow := true")


def test_imports_of_imports() -> None:
    made = loaded(
        [("p.rego", b"package docker\nimport data.a.b\nimport data.c\n")],
        Files(
            {
                "a/b.rego": b"package anything\nimport data.c\nx := c.y\n",
                "c.rego": b"package c\nimport data.a.b\ny := 1\n",
            }
        ),
    )
    assert [(m.name, m.package) for m in made[:-1]] == [
        ("p.rego", ("docker",)), ("a/b.rego", ("a", "b")), ("c.rego", ("c",)),
    ]  # fmt: skip


def test_an_endless_chain_of_imports() -> None:
    class Endless(Files):
        def read(self, name: str, limit: int) -> bytes | None:
            number = int(name.removesuffix(".rego").removeprefix("m"))
            return f"package m\nimport data.m{number + 1}\n".encode()

    with pytest.raises(PolicyFault, match="at most 200 modules"):
        loaded([("p.rego", b"package docker\nimport data.m0\n")], Endless())
