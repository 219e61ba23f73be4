"""PolicyFiles: where the files that a policy names come from."""

from __future__ import annotations

from typing import Protocol


class PolicyFiles(Protocol):
    def read(self, name: str, limit: int) -> bytes | None:
        """At most limit bytes of a file, None if it is not there. Raises PolicyFault.

        name: a path of the build's context, or `cwd://` and one of the working directory.
        """
