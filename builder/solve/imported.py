"""Imported: results that other machines made, as a build sees them; where they come from is not its concern."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from builder.solve.result import Result
from cache.digest import Digest


class Imported(Protocol):
    """Asked where the store knows nothing. The layer of a result may be elsewhere: BlobStore.suppliers get it."""

    def results(self, key: Digest) -> Iterable[Result]:
        """What was filed under a key, the first to be preferred."""
        ...

    def selected(self, name: Digest) -> tuple[Digest, ...] | None:
        """What a selection in certain trees holds."""
        ...

    def wrong(self, name: Digest) -> None:
        """Told that a selection holds something else; it is not told of again."""
        ...

    def used(self, key: Digest, result: Result, what: str) -> None:
        """Told which results the build goes by. what: the step's name, for people."""
        ...
