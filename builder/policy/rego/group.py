"""Group: all rules of one name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from builder.policy.rego.nodes import Rule


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


def groups(tree: Tree) -> Iterator[Group]:
    """All that are in it."""
    for child in tree.values():
        if isinstance(child, Group):
            yield child
        else:
            yield from groups(child)
