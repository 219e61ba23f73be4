"""Prune: what nothing needs any more leaves the store, the least recently used first, beside running commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from builder.images.store import ImageStore
from builder.images.uses import is_used
from builder.snapshot.registry import Registry
from builder.upkeep.blocks import Blocks
from builder.upkeep.evict import Evict
from builder.upkeep.inventory import Inventory, database_size
from builder.upkeep.policy import Policy
from builder.upkeep.usage import Usage
from cache.store import Store

_ORDER = ("stats", "mounts", "git", "blob", "tree", "traces", "memos")  # first what needs no row of a database


class Pruner:
    """To be made while this process does not use the store. now: seconds since 1970."""

    def __init__(self, store: Store, images: ImageStore, registry: Registry, now: float) -> None:
        self._store, self._images, self._registry, self._now = store, images, registry, now
        self._evict = Evict(store, images, registry)

    def prune(self, policy: Policy, tell: Callable[[Usage], None] = lambda usage: None, *, quick: bool = False) -> int:
        """Delete what a policy takes; tell is given each record that went. Returns the bytes of disk that it had.

        quick: see Inventory. Images without a name go, too, if the policy takes everything that is private.
        """
        if not policy.limited and not policy.filters and not policy.keep:
            self._forget_untagged()
        if quick and policy.limited:
            total = self._inventory(quick).private()
            if total <= policy.left(total, self._free()):
                return 0
        usages = self._inventory(quick).all()
        total = sum(usage.size for usage in usages if not usage.shared)
        excess = total - policy.left(total, self._free()) if policy.limited else None
        wanted = oldest_first([usage for usage in usages if policy.wants(usage, self._now)])
        reclaimed = 0
        for batch in _batches(wanted, excess):
            if excess is not None and reclaimed >= excess:
                break
            for usage in self._delete(batch):
                freed = 0 if usage.shared else usage.size
                if usage.kind == "memos":
                    freed -= database_size(self._store, usage.id, Blocks())
                tell(replace(usage, size=max(freed, 0)))
                reclaimed += max(freed, 0)
        if reclaimed:
            self._store.index.shrink()
            self._registry.shrink()
        return reclaimed

    def _inventory(self, quick: bool) -> Inventory:
        return Inventory(self._store, self._images, self._registry, quick=quick)

    def _forget_untagged(self) -> None:
        listed = (image.descriptor.digest for image in self._images.list() if not image.names)
        self._images.forget({digest for digest in listed if not is_used(self._store.root, digest)})

    def _free(self) -> int:
        status = os.statvfs(self._store.root)
        return status.f_bavail * status.f_frsize

    def _delete(self, usages: Sequence[Usage]) -> Iterator[Usage]:
        for kind in _ORDER:
            # The largest first: where the disk is full, there must be room for what is written about the others.
            of_kind = sorted((usage for usage in usages if usage.kind == kind), key=lambda usage: -usage.size)
            gone = self._evict.delete(kind, [usage.name for usage in of_kind]) if of_kind else set()
            yield from (usage for usage in of_kind if usage.name in gone)


def oldest_first(usages: Sequence[Usage]) -> list[Usage]:
    """By their last use; of what was used at one time, that first which stands on the most others."""
    parents = {usage.id: usage.parents for usage in usages}
    depths: dict[str, int] = {}

    def depth(id: str) -> int:
        chain = [id]
        while chain:
            here = chain[-1]
            todo = [p for p in parents.get(here, ()) if p not in depths and p not in chain]
            if todo:
                chain.append(todo[0])
                continue
            depths[here] = 1 + max((depths.get(p, 0) for p in parents.get(here, ())), default=0)
            chain.pop()
        return depths[id]

    return sorted(usages, key=lambda usage: (usage.used or 0.0, -depth(usage.id), usage.id))


def _batches(usages: Sequence[Usage], excess: int | None) -> Iterator[list[Usage]]:
    """Parts that are deleted at once. excess: bytes that are too many, where only so many are to go."""
    if excess is None:
        yield list(usages)
        return
    batch: list[Usage] = []
    left = excess
    for usage in usages:
        batch.append(usage)
        left -= usage.size
        if left <= 0:
            yield batch
            batch, left = [], 0
    if batch:
        yield batch
