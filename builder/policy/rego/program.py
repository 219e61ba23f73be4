"""Program: the rules of all modules of a policy, by their paths in `data`."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import msgspec

from builder.policy.module import Module
from builder.policy.rego.faults import RegoError
from builder.policy.rego.nodes import Rule
from builder.policy.rego.parser import parse_rule
from builder.policy.rego.resolve import Resolver


class Group(msgspec.Struct):
    """All rules of one name. where: the file of each. args: how many arguments, None if it is no function."""

    path: tuple[str, ...]
    rules: list[tuple[str, Rule]] = msgspec.field(default_factory=list)
    args: int | None = None

    @property
    def place(self) -> str:
        where, rule = self.rules[0]
        return f"{where}:{rule.line}"


Tree = dict[str, Any]
"""A Group or another one, by name."""


def compiled(modules: Iterable[Module], builtins: Container[str]) -> Tree:
    """Raises RegoError, with file and line."""
    parsed = [(module, [r for words in module.rules for r in parse_rule(words, module.name)]) for module in modules]
    tree: Tree = {}
    for module, rules in parsed:
        for rule in rules:
            group = _group(tree, (*module.package, rule.name), module.name, rule)
            group.rules.append((module.name, rule))
    for module, _ in parsed:
        names = _child(tree, module.package)
        resolver = Resolver(
            module.name,
            module.package,
            {one.alias: one.path for one in module.imports if one.path[0] in ("data", "input")},
            {name for name, child in names.items() if isinstance(child, Group)},
            lambda path: _arity(tree, path),
            builtins,
        )
        for child in names.values():
            if isinstance(child, Group):
                child.rules = [(w, resolver.rule(r) if w == module.name else r) for w, r in child.rules]
    return tree


def _group(tree: Tree, path: tuple[str, ...], where: str, rule: Rule) -> Group:
    names = _child(tree, path[:-1])
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


def _child(tree: Tree, path: tuple[str, ...]) -> Tree:
    for name in path:
        found = tree.setdefault(name, {})
        if not isinstance(found, dict):
            raise RegoError("", "rego_type_error", f"package {'.'.join(path)} has the name of a rule")
        tree = found
    return tree


def _arity(tree: Tree, path: tuple[str, ...]) -> int | None:
    node: Any = tree
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node.args if isinstance(node, Group) else None
