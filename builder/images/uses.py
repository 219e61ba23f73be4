"""Which images a `lapstrake run` uses: a lease of their own kind, since a build's on a base need not keep its name."""

from __future__ import annotations

import os

from cache.digest import Digest
from cache.leases import Leases
from cache.store import LEASES


def mark_used(leases: Leases, image: Digest) -> None:
    """Mark an image, by the digest that it is listed by, as used until the leases are let go."""
    leases.hold(_thing(image))


def is_used(root: str, image: Digest) -> bool:
    """root: the store's folder."""
    leases = Leases(os.path.join(root, LEASES))
    try:
        return leases.is_held(_thing(image))
    finally:
        leases.close()


def _thing(image: Digest) -> Digest:
    return Digest.of(f"run {image}".encode())
