"""ChainID: the name of a stack of layers (OCI image-spec, config.md#layer-chainid)."""

from __future__ import annotations

from collections.abc import Iterable

from cache.digest import Digest

EMPTY = Digest.of(b"")
"""Of no layers at all, for which the specification has no name."""


def chained(below: Digest, diff_id: Digest) -> Digest:
    """The ChainID of a layer on top of the stack with the ChainID below."""
    return diff_id if below == EMPTY else Digest.of(f"{below} {diff_id}".encode())


def chain_id(diff_ids: Iterable[Digest]) -> Digest:
    """diff_ids: bottom first."""
    chain = EMPTY
    for diff_id in diff_ids:
        chain = chained(chain, diff_id)
    return chain
