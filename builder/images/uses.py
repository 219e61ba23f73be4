"""Which images a running command uses: a lock on ROOT/uses/<hex>, which the kernel takes away with its process.

Whoever holds one holds the store's lock, too, so that its blobs stay whatever happens to the image's names, and so that
prune, which has the store alone, may empty the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cache.digest import Digest
from cache.filelock import is_locked, locked

USES = "uses"


@contextmanager
def used(root: str, image: Digest) -> Iterator[None]:
    """Mark an image of the store at root as used. The caller holds the store's lock."""
    folder = os.path.join(root, USES)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with locked(os.path.join(folder, image.hex), shared=True):
        yield


def is_used(root: str, image: Digest) -> bool:
    return is_locked(os.path.join(root, USES, image.hex))
