"""Exporter: where a finished image goes. One class per kind of output, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from builder.images.image import Image
from builder.layer.entry import Item
from builder.oci.reference import Reference

TreeSource = Callable[[], Iterator[Item]]
"""Gives the image's merged root file system: parents first, in name order, no whiteouts."""


class Exporter(Protocol):
    def check(self) -> None:
        """Raise OutputFault if the output cannot be written; called before the build starts. Writes nothing."""
        ...

    def write(self, image: Image, names: tuple[Reference, ...]) -> None:
        """Write it. A file appears whole or not at all, and one that exists stays until then."""
        ...
