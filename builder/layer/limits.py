"""Limits: how much one archive or layer may unpack to."""

from __future__ import annotations

import msgspec

HINT = "raise LAPSTRAKE_UNPACK_LIMIT, in bytes, if it is meant to be that large"
_MEMBER = 512  # bytes of the smallest one, its header


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one archive.

    entries: members. size: bytes of all contents, holes included, and of the plain archive. path, extended: bytes.
    ratio: plain bytes for each stored one, counted once `grace` plain bytes have come out. gzip cannot exceed 1032 and
    files of zeros do reach it, so that only archives with many GiB of next to nothing are refused.
    """

    entries: int = 20_000_000
    size: int = 1 << 42
    path: int = 32 << 10
    extended: int = 1 << 20
    ratio: int = 1000
    grace: int = 8 << 30

    @classmethod
    def of_size(cls, size: int) -> Limits:
        """Those of someone who said how large an archive may be: up to there nothing else of it counts."""
        return cls(entries=max(1, size // _MEMBER), size=size, grace=size)
