"""A rule must not depend on itself, whatever it would come to when it is evaluated (OPA's checkRecursion)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from builder.policy.rego.faults import RegoError
from builder.policy.rego.group import Group, Tree, groups
from builder.policy.rego.nodes import Call, Node, Ref, Scalar, Var, With

Path = tuple[str, ...]


def check_recursion(tree: Tree) -> None:
    """Raises RegoError, with file and line, that names the rules of a circle."""
    needs = {group.path: sorted(_needs(group, tree)) for group in groups(tree)}
    done: set[Path] = set()
    for start in needs:
        chain: list[tuple[Path, Iterator[Path]]] = [(start, iter(needs[start]))] if start not in done else []
        open_ = {start}
        while chain:
            path, rest = chain[-1]
            following = next((one for one in rest if one not in done), None)
            if following is None:
                chain.pop()
                open_.discard(path)
                done.add(path)
            elif following in open_:
                names = [one for one, _ in chain]
                raise _circle(tree, names[names.index(following) :])
            else:
                chain.append((following, iter(needs[following])))
                open_.add(following)


def _circle(tree: Tree, paths: list[Path]) -> RegoError:
    names = [f"data.{'.'.join(path)}" for path in (*paths, paths[0])]
    group = next(one for one in groups(tree) if one.path == paths[0])
    return RegoError(group.place, "rego_recursion_error", f"rule {names[0]} is recursive: {' -> '.join(names)}")


def _needs(group: Group, tree: Tree) -> set[Path]:
    found: set[Path] = set()
    for _, rule in group.rules:
        for node in _nodes(rule):
            if isinstance(node, Call) and node.path:
                found.add(node.path)
            elif isinstance(node, Ref) and _is_data(node.head):
                found.update(one.path for one in _behind(tree, node.parts))
            elif _is_data(node):
                found.update(one.path for one in groups(tree))
    return found


def _behind(tree: Tree, parts: Iterable[Any]) -> Iterator[Group]:
    """Rules that a reference may come to."""
    nodes: list[Any] = [tree]
    for part in parts:
        below = []
        for node in nodes:
            if isinstance(node, Group):
                below.append(node)
            elif not isinstance(part, Scalar):
                below += node.values()
            elif part.value in node:
                below.append(node[part.value])
        nodes = below
    for node in nodes:
        yield from [node] if isinstance(node, Group) else groups(node)


def _nodes(value: Any) -> Iterator[Node]:
    """All in a rule; but not what `with` replaces, nor the `data` that a reference begins with."""
    if isinstance(value, tuple):
        for part in value:
            yield from _nodes(part)
    elif isinstance(value, With):
        yield from _nodes(value.value)
    elif isinstance(value, Node):
        yield value
        for name in value.__struct_fields__:
            part = getattr(value, name)
            if not (isinstance(value, Ref) and name == "head" and _is_data(part)):
                yield from _nodes(part)


def _is_data(term: Any) -> bool:
    return isinstance(term, Var) and term.name == "data"
