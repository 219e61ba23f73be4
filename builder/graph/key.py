"""Key: what a step's result is filed under. All that made it is in one struct, which is hashed and can be printed."""

from __future__ import annotations

import msgspec

from builder.graph.operation import Operation
from cache import record
from cache.digest import Digest

KEY_VERSION = (
    7  # a change of what goes into a key, or of how a layer is made, needs a new number: every step misses once
)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """operation: with every field. parents: keys of the trees it stands on or mounts, in order of the inputs
    (`builder.graph.inputs.keyed_by`).

    contents: for each input that is only read by path, the digest of what is selected there. Inputs that are in
    neither (the base of a linked copy) do not matter to the result.
    """

    operation: Operation
    parents: tuple[Digest, ...] = ()
    contents: tuple[Digest, ...] = ()
    version: int = KEY_VERSION

    def digest(self) -> Digest:
        return record.digest(self)
