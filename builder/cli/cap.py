"""Keeping the build cache as small as the configuration file says, after a build that wrote something."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from builder.cli.config import config_file
from cache.errors import Fault
from cache.store import Store

if TYPE_CHECKING:
    from builder.upkeep.policy import Policy

_PLACES = ("blobs/sha256", "snapshots", "caches", "git")  # where a build that is not all cached leaves something


class Cap:
    """To be made before the build, so that a wrong file is said at once: ConfigFault.

    A build of hits only costs a few calls of stat, and reading the file if there is one.
    """

    def __init__(self, store: Store, env: Mapping[str, str]) -> None:
        self._store = store
        path = config_file(env)
        self._policies: tuple[Policy, ...] = ()
        if path is not None:
            from builder.cli.config import gc_policies

            status = os.statvfs(store.root)
            self._policies = gc_policies(path, status.f_blocks * status.f_frsize)
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
