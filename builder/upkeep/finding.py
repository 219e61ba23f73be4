"""Finding: one thing that `doctor` found in the store."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """place: what it is about. message: what is wrong. damage: whether it is, or only a leftover that harms nobody.

    fixed: whether it was set right. hint: what was done, or is to be done.
    """

    place: str
    message: str
    damage: bool = True
    fixed: bool = False
    hint: str = ""
