"""Context: what an evaluation sees, and what it knows already."""

from __future__ import annotations

from typing import Any

import msgspec

from builder.policy.rego.faults import RegoError
from builder.policy.rego.program import Group
from builder.policy.rego.values import Value

MISSING = object()
"""No value: undefined."""


class Context(msgspec.Struct):
    """What `with` changes. input: MISSING for none. data, functions: what stands in for them."""

    input: Any = MISSING
    data: dict[tuple[str, ...], Value] = {}
    functions: dict[str, Any] = {}
    known: dict[Any, Any] = msgspec.field(default_factory=dict)
    busy: set[Any] = msgspec.field(default_factory=set)


class Busy:
    """While a rule is evaluated. Raises RegoError where it is so already."""

    def __init__(self, context: Context, mark: Any, group: Group) -> None:
        if mark in context.busy or (group.args is not None and group.path in context.busy):
            raise RegoError(group.place, "rego_recursion_error", f"rule data.{'.'.join(group.path)} is recursive")
        self._busy = context.busy
        self._marks = {mark, group.path} - context.busy

    def __enter__(self) -> None:
        self._busy |= self._marks

    def __exit__(self, *_: object) -> None:
        self._busy -= self._marks
