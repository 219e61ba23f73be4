"""Context: what an evaluation sees, and what it knows already."""

from __future__ import annotations

from typing import Any

import msgspec

from builder.policy.rego.values import Value

MISSING = object()
"""No value: undefined."""


class Context(msgspec.Struct):
    """What `with` changes. input: MISSING for none. data, functions: what stands in for them."""

    input: Any = MISSING
    data: dict[tuple[str, ...], Value] = {}
    functions: dict[str, Any] = {}
    known: dict[Any, Any] = msgspec.field(default_factory=dict)
