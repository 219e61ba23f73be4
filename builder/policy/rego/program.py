"""Program: the rules of all modules of a policy, by their paths in `data`."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import takewhile
from typing import Any

from msgspec.structs import replace

from builder.policy.module import Module
from builder.policy.rego.faults import RegoError
from builder.policy.rego.group import Group, Tree, groups
from builder.policy.rego.nodes import Rule, Scalar
from builder.policy.rego.parser import parse_rule
from builder.policy.rego.recursion import check_recursion
from builder.policy.rego.resolve import Resolver
from builder.policy.rego.scopes import Scopes
from builder.policy.rego.variables import ROOTS


def compiled(modules: Iterable[Module], builtins: Mapping[str, int | None]) -> Tree:
    """builtins: how many arguments each has, None for any number. Raises RegoError, with file and line."""
    parsed = [(module, [r for words in module.rules for r in parse_rule(words, module.name)]) for module in modules]
    parsed = [(module, list(map(Scopes(module.name).rule, rules))) for module, rules in parsed]
    wide = {_path(module, rule) for module, rules in parsed for rule in rules if len(_ground(rule)) < len(rule.path)}
    tree: Tree = {}
    for module, _ in parsed:
        _check_imports(module)
    for module, rules in parsed:
        _child(tree, module.package)
        for rule in rules:
            _add(tree, wide, module, rule)
    names: dict[tuple[str, ...], set[str]] = {}
    for module, rules in parsed:
        names.setdefault(module.package, set()).update(rule.name for rule in rules)
    resolvers = {
        module.name: Resolver(
            module.name,
            module.package,
            {one.alias: one.path for one in module.imports if one.path[0] in ROOTS},
            names[module.package],
            lambda path: found.args if (found := _found(tree, path)) is not None else None,
            lambda path: _found(tree, path) is not None,
            builtins,
        )
        for module, _ in parsed
    }
    for group in groups(tree):
        group.rules = [(where, resolvers[where].rule(rule)) for where, rule in group.rules]
    check_recursion(tree)
    return tree


def _check_imports(module: Module) -> None:
    seen: set[str] = set()
    for one in module.imports:
        place, shown = f"{module.name}:{one.line}", ".".join(one.path)
        if one.path[0] in ("future", "rego"):
            if one.path != ("rego", "v1") and one.path[:2] != ("future", "keywords"):
                raise RegoError(place, "rego_parse_error", f"invalid import {shown}")
            continue
        if one.path[0] not in ROOTS:
            raise RegoError(place, "rego_parse_error", f"import {shown} must begin with data or input")
        if one.alias in seen or (one.alias in ROOTS and len(one.path) > 1):
            raise RegoError(place, "rego_compile_error", f"import must not shadow {one.alias}")
        seen.add(one.alias)


def _ground(rule: Rule) -> tuple[str, ...]:
    """The parts of a rule's name, behind its first, up to the first that is no text."""
    plain = takewhile(lambda part: isinstance(part, Scalar) and isinstance(part.value, str), rule.path)
    return tuple(part.value for part in plain)


def _path(module: Module, rule: Rule) -> tuple[str, ...]:
    return (*module.package, rule.name, *_ground(rule))


def _add(tree: Tree, wide: Container[tuple[str, ...]], module: Module, rule: Rule) -> None:
    """To the group of its name; where a rule `a[x]` is, `a.b` is of the group of that."""
    path = _path(module, rule)
    shortest = len(module.package) + 1
    length = next((n for n in range(shortest, len(path)) if path[:n] in wide), len(path))
    if length < len(path) and rule.clause.other is not None:
        problem = f"rule data.{'.'.join(path)} cannot have else, for there is a rule with a variable in its place"
        raise RegoError(f"{module.name}:{rule.line}", "rego_type_error", problem)
    rule = replace(rule, path=rule.path[length - shortest :])
    _group(tree, path[:length], module.name, rule).rules.append((module.name, rule))


def _group(tree: Tree, path: tuple[str, ...], where: str, rule: Rule) -> Group:
    names = _child(tree, path[:-1], f"{where}:{rule.line}")
    group = names.setdefault(path[-1], Group(path))
    place = f"{where}:{rule.line}"
    if not isinstance(group, Group):
        raise RegoError(place, "rego_type_error", f"rule {'.'.join(path)} is the name of a package, too")
    count = None if rule.args is None else len(rule.args)
    if group.rules and group.args != count:
        raise RegoError(place, "rego_type_error", f"conflicting rules data.{'.'.join(path)} found")
    group.args = count
    if rule.default and any(one.default for _, one in group.rules):
        raise RegoError(place, "rego_type_error", f"multiple default rules data.{'.'.join(path)} found")
    if len({_kind(one) for one in (*(known for _, known in group.rules), rule) if not one.default}) > 1:
        raise RegoError(place, "rego_type_error", f"conflicting rules data.{'.'.join(path)} found")
    return group


def _kind(rule: Rule) -> str:
    return "object" if rule.path else "set" if rule.contains else "complete"


def _child(tree: Tree, path: tuple[str, ...], place: str = "") -> Tree:
    for name in path:
        found = tree.setdefault(name, {})
        if not isinstance(found, dict):
            raise RegoError(
                place, "rego_type_error", f"rule data.{'.'.join(found.path)} conflicts with what is below it"
            )
        tree = found
    return tree


def _found(tree: Tree, path: tuple[str, ...]) -> Group | None:
    node: Any = tree
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, Group) else None
