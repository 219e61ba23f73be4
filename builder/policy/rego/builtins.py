"""Functions of the language, as OPA's documentation has them; buildx's policy/builtins.go says which there are.

One that raises Undefined, TypeError, ValueError or a like error is undefined there. Lengths of results are bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from builder.policy.rego import collection, edits, encodings, kinds, numeric, patterns, texts, times
from builder.policy.rego.values import Value

_NOW = time.time_ns()  # the same for all of a build

BUILTINS: Mapping[str, Callable[..., Value]] = {
    **numeric.FUNCTIONS,
    **texts.FUNCTIONS,
    **patterns.FUNCTIONS,
    **collection.FUNCTIONS,
    **edits.FUNCTIONS,
    **encodings.FUNCTIONS,
    **kinds.FUNCTIONS,
    "time.now_ns": lambda: _NOW,
    "time.parse_ns": times.parse_ns,
    "time.parse_rfc3339_ns": times.parse_rfc3339_ns,
    "time.parse_duration_ns": times.parse_duration_ns,
    "time.format": times.format_time,
    "time.date": times.date,
    "time.clock": times.clock,
    "time.weekday": times.weekday,
    "time.add_date": times.add_date,
    "time.diff": times.diff,
}

ARITIES: Mapping[str, int | None] = {
    **{name: call.__code__.co_argcount for name, call in BUILTINS.items()},
    "print": None,
}
"""How many arguments each has, None for any number."""
