"""Trace: what one build was made of, step by step; and what became of its steps when it ran."""

from __future__ import annotations

from typing import Any

import msgspec

from builder.graph.key import KEY_VERSION
from builder.trace.step import Step
from cache.digest import Digest

TRACE_VERSION = 1  # of the form on disk: others are not read


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """steps: inputs before those that read them, images and folders among them. keys: the KEY_VERSION of the keys.

    file: the Dockerfile as it was named. context: the folder, URL, or "-". platforms: `linux/amd64`. folders: those
    of the client that steps read, by the names that `Read` has.
    """

    steps: tuple[Step, ...]
    file: str = "Dockerfile"
    context: str = ""
    target: str = ""
    platforms: tuple[str, ...] = ()
    folders: dict[str, str] = {}
    keys: int = KEY_VERSION
    version: int = TRACE_VERSION

    def by_key(self) -> dict[Digest, Step]:
        return {step.key: step for step in self.steps if step.key is not None}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a step in a build. state: cached, done, failed or canceled. why: it was not cached, in one line.

    seconds: it took; layer: its digest, "" if there is none; size: of the layer as stored, bytes; files: members of the
    layer that are no folders, None where nobody counted.
    """

    name: str
    key: str = ""
    line: int = 0
    state: str = "cached"
    why: str = ""
    seconds: float = 0.0
    layer: str = ""
    size: int = 0
    files: int | None = None


def plain(outcome: Outcome) -> dict[str, Any]:
    """As --metadata-file and `explain --format json` show it: what is not known is left out."""
    return {name: value for name, value in msgspec.to_builtins(outcome).items() if value not in ("", None)}
