"""Policy: what a prune may take, and how much it leaves; BuildKit's words and rules (PruneInfo, calculateKeepBytes)."""

from __future__ import annotations

import msgspec

from builder.upkeep.filters import Filter
from builder.upkeep.usage import INTERNAL, Usage


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """everything: also what is shared or internal. filter: of what is taken; one that matches is enough, () for all.

    keep: seconds since its last use within which a record stays. reserved: bytes that are always left to the cache;
    most: bytes that it may take; free: bytes that the disk is to have left. 0: no such limit.
    """

    everything: bool = False
    filters: tuple[Filter, ...] = ()
    keep: float = 0.0
    reserved: int = 0
    most: int = 0
    free: int = 0

    @property
    def limited(self) -> bool:
        """Whether only so much is taken as one of the limits asks for."""
        return bool(self.reserved or self.most or self.free)

    def wants(self, usage: Usage, now: float) -> bool:
        """Whether a record may be taken. now: seconds since 1970."""
        if not usage.kind or usage.in_use or (self.limited and usage.kind == "memos"):
            return False
        if not self.everything and (usage.shared or usage.type == INTERNAL):
            return False
        if self.keep and usage.used is not None and usage.used > now - self.keep:
            return False
        return not self.filters or any(one.matches(usage, now) for one in self.filters)

    def left(self, total: int, free: int) -> int:
        """Bytes that the cache may keep. total: that it has; free: that the disk has left."""
        if not self.limited:
            return 0
        kept = self.most or total
        if self.free > free:
            kept = min(kept, total - (self.free - free))
        elif not self.most and not self.free:
            kept = self.reserved
        return max(kept, self.reserved)
