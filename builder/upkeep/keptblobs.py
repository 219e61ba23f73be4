"""What lies below ROOT/blobs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from builder.upkeep.blocks import Blocks
from builder.upkeep.owners import Owners
from builder.upkeep.usage import REGULAR, SHOWN, Usage
from cache.digest import Digest
from cache.store import Store


def kept_blobs(store: Store, owners: Owners, blocks: Blocks) -> Iterator[Usage]:
    """Every blob, and what is there that is none."""
    folder = store.path("blobs", "sha256")
    blobs = store.blobs.digests()
    for blob in blobs:
        usage = _blob(store, owners, blocks, blob)
        if usage is not None:
            yield usage
    strange = [f"blobs/{name}" for name in os.listdir(store.path("blobs")) if name != "sha256"]
    strange += [f"blobs/sha256/{name}" for name in set(os.listdir(folder)) - {blob.hex for blob in blobs}]
    for name in sorted(strange):
        yield Usage(id=name, size=blocks.of(store.path(name)), description=f"other: {name}")
    yield Usage(id="blobs/sha256", size=blocks.own(os.stat(folder)), description="the folder of the blobs")


def _blob(store: Store, owners: Owners, blocks: Blocks, digest: Digest) -> Usage | None:
    try:
        status = os.stat(store.blobs.path(digest))
    except FileNotFoundError:
        return None
    results = owners.results.get(digest, [])
    images = (*owners.named.get(digest, ()), *owners.untagged.get(digest, ()))
    others = (*owners.bases.get(digest, ()), *owners.others.get(digest, ()))
    steps = [filed.what or f"result {filed.key.hex[:12]}" for filed in results]
    kept = tuple(dict.fromkeys((*images, *others, *steps)))
    known = max([owners.used.get(digest, 0), *(filed.used for filed in results)])
    return Usage(
        id=digest.hex[:SHOWN],
        kind="blob",
        name=digest.hex,
        size=blocks.own(status),
        parents=tuple(parent.hex[:SHOWN] for parent in owners.parents.get(digest, ())),
        created=min([filed.made for filed in results if filed.made] or [status.st_mtime]),
        used=(known or max(status.st_atime, status.st_mtime)) if kept else None,
        uses=sum(filed.uses for filed in results),
        in_use=store.leases.is_held(digest),
        shared=digest in owners.named,
        description=next(iter((*steps, *others, *images)), "nothing needs it"),
        type=REGULAR,
        kept=kept,
    )
