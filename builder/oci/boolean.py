"""A truth value in the forms that Docker's tools take: those of Go's strconv.ParseBool."""

from __future__ import annotations

_FORMS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def parse_bool(text: str) -> bool | None:
    """None for all other text, the empty one too."""
    return _FORMS.get(text)
