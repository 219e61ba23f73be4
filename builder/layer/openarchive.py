"""A tar archive in whatever form it is stored, read within limits."""

from __future__ import annotations

from builder.layer.limits import Limits
from builder.layer.plain import open_plain
from builder.layer.tarread import Readable, TarReader


def open_archive(raw: Readable, limits: Limits, what: str, *, strip_root: bool = False) -> TarReader:
    """The members. what: what a fault about its size calls it. Raises LayerFault on damage, beyond limits as well."""
    plain = open_plain(raw, limit=limits.size, ratio=limits.ratio, grace=limits.grace)
    return TarReader(plain, limits, strip_root=strip_root, what=what)
