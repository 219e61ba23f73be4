from __future__ import annotations

import hashlib

from builder.oci.chain import EMPTY, chain_id, chained
from cache.digest import Digest

A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))


def test_by_the_specification() -> None:
    """config.md#layer-chainid: ChainID(L0) = DiffID(L0), then Digest(ChainID(below) + " " + DiffID)."""
    second = hashlib.sha256(f"{A} {B}".encode()).hexdigest()
    assert chain_id([A]) == A
    assert chain_id([A, B]) == Digest(second)
    assert chain_id([A, B, C]) == Digest(hashlib.sha256(f"sha256:{second} {C}".encode()).hexdigest())


def test_step_by_step_is_the_same() -> None:
    assert chained(chained(chained(EMPTY, A), B), C) == chain_id([A, B, C])
    assert chain_id([]) == EMPTY
    assert chain_id([A, B]) != chain_id([B, A])
