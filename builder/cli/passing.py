"""Errors that do not come again: what caused them is put right, and the build begun anew."""

from __future__ import annotations

from builder.errors import LostResult
from cache.errors import DamagedBlob


def passing(error: BaseException | None) -> DamagedBlob | LostResult | None:
    """What an error comes from, if it is such a one."""
    while error is not None and not isinstance(error, DamagedBlob | LostResult):
        error = error.__cause__
    return error
