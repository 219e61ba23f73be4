"""Stratum: one layer of a build's trees while the build runs, in whichever forms it exists so far."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from builder.errors import Canceled

if TYPE_CHECKING:
    from builder.layer.entry import Entry
    from builder.layer.layer import Layer
    from builder.snapshot.listedlayer import ListedLayer
    from builder.snapshot.snapshots import Folder


class Stratum:
    """A layer may be a blob (layer), a folder on disk (folder), a list of its entries (listing), or several of these.

    layer: set when packed. files: its members that are no folders, if they were counted. form: see Result. listed: the
    listing, made searchable once. lock: held while a folder is made from the blob, so that this is done once.
    """

    def __init__(self, layer: Layer | None = None, files: int | None = None, form: str = "") -> None:
        self.layer = layer
        self.files, self.form = files, form
        self.folder: Folder | None = None
        self.listing: list[Entry] | None = None
        self.listed: ListedLayer | None = None
        self.lock = threading.Lock()
        self._packed = threading.Event()
        if layer is not None:
            self._packed.set()

    def pack_done(self, layer: Layer | None) -> None:
        """Called once by the packing thread; None when packing failed."""
        self.layer = layer
        self._packed.set()

    def wait(self) -> Layer:
        """The packed layer, waited for. Raises Canceled if packing failed."""
        self._packed.wait()
        if self.layer is None:
            raise Canceled("the layer below could not be packed")
        return self.layer
