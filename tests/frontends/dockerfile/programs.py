"""What a lowered program has, as its tests look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builder.graph.program import Program
from frontends.errors import FrontendFault

Build = Callable[..., Program]


def steps(program: Program) -> list[Any]:
    return [program.graph.vertices[digest].operation for digest in program.steps]


def names(program: Program) -> list[str]:
    return [program.graph.info[digest].name for digest in program.graph.vertices if digest in program.graph.info]


def own_history(program: Program) -> list[tuple[str, bool]]:
    return [(entry.created_by, entry.empty_layer) for entry in program.config.history if entry.own]


def last(program: Program) -> Any:
    return steps(program)[-1]


def fault(build: Build, text: str, **options: Any) -> FrontendFault:
    with pytest.raises(FrontendFault) as caught:
        build(text, **options)
    return caught.value
