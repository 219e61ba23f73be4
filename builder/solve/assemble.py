"""From a solved program to an image: layers in order, times without a clock."""

from __future__ import annotations

import time

import msgspec

from builder.graph.program import Program
from builder.images.image import Image, assemble
from builder.layer.layer import Layer
from builder.oci.config import DEFAULT_EPOCH, History


def rfc3339(seconds: int) -> str:
    """`1980-01-02T00:00:00Z`"""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def make_image(program: Program, layers: tuple[Layer, ...], epoch: int | None) -> Image:
    """The image of a program whose layers, the base's below its own, are made.

    What this build adds is dated by SOURCE_DATE_EPOCH, else like the base image, else by a fixed day: the digest
    depends on the input, not on when or where it was built.
    """
    config = program.config
    created = rfc3339(epoch) if epoch is not None else config.created or rfc3339(DEFAULT_EPOCH)
    history = tuple(_dated(entry, created) for entry in config.history)
    changed = any(entry.own for entry in config.history) or not config.created or epoch is not None
    config = msgspec.structs.replace(config, created=created if changed else config.created, history=history)
    return assemble(config, layers)


def _dated(entry: History, created: str) -> History:
    return msgspec.structs.replace(entry, created=created, own=False) if entry.own else entry
