"""Imports point one way, as docs/architecture.md draws it: read from the source, so that lazy imports count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("builder", "cache", "frontends")

# What each room of builder/ may import of the other rooms, besides builder.errors.
ROOMS: dict[str, frozenset[str]] = {
    "oci": frozenset(),
    "graph": frozenset({"oci"}),
    "layer": frozenset({"oci"}),
    "sandbox": frozenset(),
    "progress": frozenset({"graph"}),
    "template": frozenset(),
    "images": frozenset({"layer", "oci"}),
    "snapshot": frozenset({"layer", "sandbox"}),
    "registry": frozenset({"oci", "transport"}),
    "policy": frozenset({"graph", "oci"}),
    "source": frozenset({"graph", "images", "layer", "oci", "policy", "registry", "transport"}),
    "proxy": frozenset({"transport"}),
    "transport": frozenset(),
    "export": frozenset({"images", "layer", "oci", "registry"}),
    "trace": frozenset({"graph"}),
    "remotecache": frozenset({"export", "images", "layer", "oci", "registry", "solve"}),
    "solve": frozenset({"graph", "images", "layer", "oci", "proxy", "sandbox", "snapshot", "source", "trace"}),
    "upkeep": frozenset({"images", "layer", "oci", "snapshot", "solve", "source"}),
}
FRONTEND_MAY = ("builder.oci", "builder.graph", "builder.errors", "cache.digest", "cache.errors", "cache.record")
ERRORS_MAY = ("cache.digest", "cache.errors")
VAGUE = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})


def imported(source: str, module: str) -> Iterator[str]:
    """Dotted names of what `source` imports; relative imports are made absolute by `module`, its own name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join(module.split(".")[: -node.level]) if node.level else ""
            base = ".".join(part for part in (parent, node.module or "") if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)


def may_import(module: str, name: str) -> bool:
    """Whether module `module` may import `name`; both dotted, `name` may end in something that is no module."""
    top, room = name.split(".")[0], [*name.split("."), ""][1]
    if top not in PACKAGES or _within(module, ("builder.cli",)):
        return True
    if name in PACKAGES:
        # `from builder import x` gives both names; the second, which says what is meant, is judged.
        return True
    own, own_room = module.split(".")[0], [*module.split("."), ""][1]
    if own == "cache":
        return top == "cache"
    if own == "frontends":
        return top == "frontends" or _within(name, FRONTEND_MAY)
    if top == "frontends":
        return False
    if own_room in ("errors", "__init__", ""):
        return _within(name, ERRORS_MAY)
    if top == "cache":
        return own_room not in ("oci", "graph") or _within(name, ("cache.digest", "cache.errors", "cache.record"))
    return room in ("errors", own_room) or room in ROOMS[own_room]


def upward(source: str, module: str) -> list[str]:
    return sorted({f"{module} imports {name}" for name in imported(source, module) if not may_import(module, name)})


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            found.append((".".join(path.relative_to(ROOT).with_suffix("").parts), path))
    return found


def test_no_import_points_up() -> None:
    assert [line for module, path in modules() for line in upward(path.read_text(), module)] == []


def test_every_module_is_read() -> None:
    names = {module for module, _ in modules()}
    assert {"cache.store", "frontends.dockerfile.lower", "builder.solve.scheduler", "builder.cli.main"} <= names


def test_every_room_has_its_rule() -> None:
    rooms = {module.split(".")[1] for module, _ in modules() if module.startswith("builder.") and module.count(".") > 1}
    assert rooms - {"cli"} <= set(ROOMS)


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [module for module, _ in modules() if VAGUE & set(module.split("."))] == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("cache.store", "from builder.oci.descriptor import Descriptor"),
        ("cache.store", "import frontends.text"),
        ("cache.store", "def f():\n    from builder import errors"),
        ("frontends.dockerfile.lower", "from builder.layer.pack import pack"),
        ("frontends.dockerfile.lower", "from cache.store import Store"),
        ("frontends.text", "from builder import layer"),
        ("builder.solve.local", "from frontends.text import Source"),
        ("builder.solve.local", "from builder.cli.main import main"),
        ("builder.graph.graph", "import builder.solve.scheduler"),
        ("builder.oci.config", "from cache.blobs import BlobStore"),
        ("builder.oci.config", "from builder.graph.key import Key"),
        ("builder.layer.pack", "from ..solve import scheduler"),
        ("builder.layer.pack", "import importlib\nimportlib.import_module('builder.cli.main')"),
        ("builder.errors", "from builder.oci.config import ImageConfig"),
    ],
)
def test_an_upward_import_is_caught(module: str, line: str) -> None:
    assert upward(line, module)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("builder.cli.build", "from frontends.dockerfile.lower import lower"),
        ("builder.solve.local", "from builder.sandbox.launch import run\nfrom cache.store import Store"),
        ("frontends.dockerfile.lower", "from builder.graph.graph import GraphBuilder\nimport re"),
        ("builder.layer.pack", "from . import tarfmt\nfrom ..errors import LayerFault"),
    ],
)
def test_a_downward_import_passes(module: str, line: str) -> None:
    assert upward(line, module) == []
