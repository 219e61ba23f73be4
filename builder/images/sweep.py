"""Sweep: blobs that nothing names and no running command uses leave the store; by the rules of `cache.leases`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from builder.images.naming import BASE_MEMO
from builder.images.origin import ORIGIN_MEMO
from builder.images.reach import reach
from builder.images.store import ImageStore
from builder.oci.descriptor import Descriptor
from cache.digest import Digest
from cache.record import recall
from cache.store import Store

T = TypeVar("T")
DIGESTS = re.compile(rb"sha256:([0-9a-f]{64})")
_LEAST, _MOST = 20, 1000  # blobs that are had alone at once: who needs one of them waits until the batch is deleted
_ROOM = 16 << 10  # bytes of disk that a row may need until it is deleted: some pages of sqlite's log


def sweep(store: Store, images: ImageStore) -> tuple[int, int]:
    """Remove the blobs that no image and no result needs; returns how many, and their bytes.

    Not to be called while this process uses the store.
    """
    count = size = 0
    spare = sorted(set(store.blobs.digests()) - named(store, images))
    for batch in batches(spare, store.root):
        with store.alone(batch) as mine:
            gone = sorted(mine - named(store, images))  # what got a name until just now stays
            for digest in gone:
                count += 1
                size += store.blobs.delete(digest)
            store.index.delete_memos(ORIGIN_MEMO, gone)
    return count, size


def batches(things: Sequence[T], root: str) -> Iterator[Sequence[T]]:
    """All of them in parts; small ones as long as the disk has no room to write much about them. root: of the store."""
    start = 0
    while start < len(things):
        status = os.statvfs(root)
        count = min(_MOST, max(_LEAST, status.f_bavail * status.f_frsize // _ROOM))
        yield things[start : start + count]
        start += count


def named(store: Store, images: ImageStore) -> set[Digest]:
    """Every blob that an image, a base image or a result needs."""
    found = {digest for image in images.list() for digest in reach(store.blobs, image.descriptor)}
    for memo in store.index.memos(BASE_MEMO):
        base = recall(memo, Descriptor)
        if base is not None:
            found.update(reach(store.blobs, base))
    for _, record in store.index.results():
        # Whatever digest a record names keeps its blob: a sweep need not know the forms of records to be safe.
        found.update(Digest(digest.decode()) for digest in DIGESTS.findall(record))
    return found
