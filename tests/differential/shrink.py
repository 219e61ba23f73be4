"""The smallest case that still differs: lines, files and arguments are left out as long as it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from tests.differential.case import Case, Node

_T = TypeVar("_T")


def shrunk(case: Case, differs: Callable[[Case], bool]) -> Case:
    """differs: whether a smaller case still shows it; it must hold for case."""
    case = replace(case, args=_fewer(case.args, lambda args: differs(replace(case, args=args))))
    case = replace(case, lines=_fewer(case.lines, lambda lines: differs(replace(case, lines=lines))))
    for name in case.contexts:
        case = _fewer_nodes(case, name, differs)
    return case


def _fewer_nodes(case: Case, name: str, differs: Callable[[Case], bool]) -> Case:
    return _with(case, name, _fewer(case.contexts[name], lambda nodes: differs(_with(case, name, nodes))))


def _with(case: Case, name: str, nodes: list[Node]) -> Case:
    return replace(case, contexts={**case.contexts, name: nodes})


def _fewer(items: list[_T], differs: Callable[[list[_T]], bool]) -> list[_T]:
    """Zeller's ddmin, from halves to single items."""
    size = max(len(items) // 2, 1)
    while True:
        at = 0
        while at < len(items):
            fewer = items[:at] + items[at + size :]
            if differs(fewer):
                items = fewer
            else:
                at += size
        if size == 1:
            return items
        size //= 2
