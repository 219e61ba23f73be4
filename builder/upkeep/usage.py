"""Usage: one thing in the store, as `du` shows it and as `prune` decides about it (BuildKit's UsageInfo)."""

from __future__ import annotations

import msgspec

REGULAR, INTERNAL, LOCAL = "regular", "internal", "source.local"
GIT, CACHE_MOUNT = "source.git.checkout", "exec.cachemount"
SHOWN = 25  # digits of an id, as many as BuildKit's have


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """size: bytes of disk that it takes, which nothing else is said to take.

    id: as it is shown. kind: who can delete it: blob, tree, mounts, git, stats, traces, memos; "" for nobody. name:
    within its kind. created, used: seconds since 1970, None if not known. shared: an image that has a name needs it.
    kept: for what it is kept. uses: builds that had it. type: BuildKit's type of record.
    """

    id: str
    kind: str = ""
    name: str = ""
    size: int
    description: str
    type: str = INTERNAL
    parents: tuple[str, ...] = ()
    created: float | None = None
    used: float | None = None
    uses: int = 0
    mutable: bool = False
    in_use: bool = False
    shared: bool = False
    kept: tuple[str, ...] = ()

    @property
    def reclaimable(self) -> bool:
        """Whether `prune --all` deletes it."""
        return bool(self.kind) and not self.in_use and not self.shared
