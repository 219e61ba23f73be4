"""Exporter: where a finished image goes. One class per kind of output, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from builder.images.image import Image
from builder.images.index import AnyImage
from builder.layer.entry import Item
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from cache.digest import Digest

TreeSource = Callable[[], Iterator[Item]]
"""Gives the image's merged root file system: parents first, in name order, no whiteouts."""


class Part(msgspec.Struct, frozen=True):
    """What was built for one platform. base_layers: how many of the image's layers are those of its base.

    forms: blobs of layers that were not packed in the usual form -> the fingerprint of what they were packed with.
    """

    platform: Platform
    image: Image
    base_layers: int
    tree: TreeSource
    forms: dict[Digest, str] = {}


class Exporter(Protocol):
    """One place where an image goes, or its tree."""

    def check(self) -> None:
        """Raise OutputFault if the output cannot be written; called before the build starts. Writes nothing."""
        ...

    def write(self, image: AnyImage, names: tuple[Reference, ...]) -> None:
        """Write it. A file appears whole or not at all, and one that exists stays until then."""
        ...
