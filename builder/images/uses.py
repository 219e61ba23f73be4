"""Which images a running command uses: a lock on ROOT/uses/<hex>, which the kernel takes away with its process.

Whoever holds one holds the store's lock, too, so that its blobs stay whatever happens to the image's names, and so that
prune, which has the store alone, may empty the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from cache.digest import Digest

USES = "uses"


@contextmanager
def used(root: str, image: Digest) -> Iterator[None]:
    """Mark an image of the store at root as used. The caller holds the store's lock."""
    folder = os.path.join(root, USES)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fd = os.open(os.path.join(folder, image.hex), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def is_used(root: str, image: Digest) -> bool:
    try:
        fd = os.open(os.path.join(root, USES, image.hex), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
