from __future__ import annotations

import pytest
from rich.style import Style

from builder.progress.colors import colors

USUAL = {"run": "blue", "cancel": "yellow", "error": "red", "warning": "yellow"}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", {}),
        ("run=green:CANCEL=Light-Red", {"run": "green", "cancel": "bright_red"}),
        ("error=1,2,255:warning=1,2,256:run=1,2", {"error": "rgb(1,2,255)"}),
        ("walk=green:run=mauve:::=", {}),
        ("run=9999999999999,1,1", {}),
    ],
)
def test_colors(text: str, changed: dict[str, str]) -> None:
    found = colors(text)
    assert found == USUAL | changed
    for style in found.values():
        Style.parse(style)
