"""From a solved program to an image: layers in order, times without a clock."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from builder.graph.program import Program
from builder.images.image import Image, assemble
from builder.layer.layer import Layer
from builder.oci.config import DEFAULT_EPOCH, History


def rfc3339(seconds: int) -> str:
    """`1980-01-02T00:00:00Z`"""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


CACHE = "dev.lapstrake.cache.v1"  # top-level field of a config: records of the steps that made the image
_STALE = frozenset({CACHE, "moby.buildkit.cache.v0"})  # what a base says there is of its own steps


def make_image(program: Program, layers: tuple[Layer, ...], epoch: int | None, cache: Any = None) -> Image:
    """The image of a program whose layers, the base's below its own, are made. cache: goes under CACHE, if given.

    What this build adds is dated by SOURCE_DATE_EPOCH, else like the base image, else by a fixed day: the digest
    depends on the input, not on when or where it was built.
    """
    config = program.config
    created = rfc3339(epoch) if epoch is not None else config.created or rfc3339(DEFAULT_EPOCH)
    history = tuple(_dated(entry, created) for entry in config.history)
    changed = any(entry.own for entry in config.history) or not config.created or epoch is not None
    unknown = {name: value for name, value in config.unknown.items() if name not in _STALE}
    config = msgspec.structs.replace(
        config,
        created=created if changed else config.created,
        history=history,
        unknown=unknown if cache is None else {**unknown, CACHE: cache},
    )
    return assemble(config, layers)


def _dated(entry: History, created: str) -> History:
    return msgspec.structs.replace(entry, created=created, own=False) if entry.own else entry
