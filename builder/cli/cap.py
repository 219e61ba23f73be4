"""Keeping the build cache as small as the configuration file says, after a build that wrote something."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cache.errors import Fault
from cache.store import Store

if TYPE_CHECKING:
    from builder.upkeep.policy import Policy

_PLACES = ("blobs/sha256", "snapshots", "caches", "git")  # where a build that is not all cached leaves something


class Cap:
    """policies: what the file says. To be made before the build; one of hits only costs a few calls of stat."""

    def __init__(self, store: Store, policies: tuple[Policy, ...]) -> None:
        self._store, self._policies = store, policies
        self._before = self._dates()

    def keep(self, warn: Callable[[str], None]) -> None:
        """Evict what is too much, the least recently used first. To be called when this process uses nothing any more.

        warn: told why it could not be done; a build does not fail for it.
        """
        if not self._policies or self._dates() == self._before:
            return
        from builder.images.store import ImageStore
        from builder.snapshot.registry import Registry
        from builder.upkeep.prune import Pruner

        registry = Registry(self._store.root, warn)
        try:
            images = ImageStore(self._store.root, self._store.blobs)
            pruner = Pruner(self._store, images, registry, time.time())
            for policy in self._policies:
                pruner.prune(policy, quick=True)
        except (Fault, OSError) as error:
            warn(f"the cache is not kept small: {error.message if isinstance(error, Fault) else error}")
        finally:
            registry.close()

    def _dates(self) -> tuple[int, ...]:
        return tuple(_date(self._store.path(place)) for place in _PLACES)


def _date(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0
