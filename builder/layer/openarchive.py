"""A tar archive in whatever form it is stored, read within limits."""

from __future__ import annotations

from collections.abc import Iterator

from builder.layer.entry import Item
from builder.layer.limits import Limits
from builder.layer.plain import PlainStream, open_plain
from builder.layer.readahead import ReadAhead
from builder.layer.tarread import Readable, TarReader


def open_archive(raw: Readable, limits: Limits, what: str) -> TarReader:
    """The members. what: what a fault about its size calls it. Raises LayerFault on damage, beyond limits as well."""
    return TarReader(_plain(raw, limits), limits, what=what)


def members(raw: Readable, limits: Limits, what: str, *, ahead: bool) -> Iterator[Item]:
    """The same; ahead: a thread reads and decompresses while the members are worked on."""
    if not ahead:
        yield from open_archive(raw, limits, what)
        return
    with ReadAhead(_plain(raw, limits)) as stream:
        yield from TarReader(stream, limits, what=what)


def _plain(raw: Readable, limits: Limits) -> PlainStream:
    return open_plain(raw, limit=limits.size, ratio=limits.ratio, grace=limits.grace)
