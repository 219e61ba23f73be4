"""Pulled: images of registries taken into the store, their layers only when somebody wants them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from builder.errors import ImageFault, RegistryFault, SourceFault
from builder.images.image import Image, parse
from builder.images.intake import take_stream
from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import read_manifest
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.registry.client import Client
from builder.registry.download import Download
from builder.registry.registries import Located, Registries
from cache.blobs import BlobStore

if TYPE_CHECKING:
    from builder.source.attested import Attested
    from builder.source.fetch import Fetch

Moved = Callable[[Layer, str, int], None]
"""Told of a layer what is done with it, one of the words below, and how many bytes have come."""

WAITING, THERE, COMING, DONE = "Pulling fs layer", "Already exists", "Downloading", "Pull complete"


class Pulled:
    """Safe for many threads. Blobs are stored under their names once both their digests were right."""

    def __init__(
        self,
        registries: Registries,
        blobs: BlobStore,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
    ) -> None:
        """limits: of each layer, unpacked."""
        self._registries, self._blobs, self._limits = registries, blobs, limits

    def locate(self, reference: Reference, platform: Platform) -> tuple[Descriptor, Image]:
        """Store an image's documents; returns what its name stands for, and the image for the platform."""
        try:
            found = self._registries.locate(reference, platform)
            return found.top.descriptor, self._keep(reference, found)
        except ImageFault as error:
            named = error.message if str(reference) in error.message else f"{reference}: {error.message}"
            raise ImageFault(named, error.hint) from error

    def attested(self, reference: Reference) -> Attested:
        """What is beside an image, which is named by its digest."""
        from builder.source.attested import Attested

        return Attested(self._registries, reference)

    def fetch(self, reference: Reference, layers: Iterable[Layer], moved: Moved) -> None:
        """Store the layers that the store lacks, some at once. The first failure ends the others."""
        fetch = self.begin(reference, layers, moved)
        try:
            fetch.all()
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            fetch.close()

    def begin(
        self, reference: Reference, layers: Iterable[Layer], moved: Moved, done: Callable[[], None] = lambda: None
    ) -> Fetch:
        """The same, without waiting for it. done: called when all are here."""
        from builder.source.fetch import Fetch

        wanted = list({layer.blob.digest: layer for layer in layers}.values())
        missing = [layer for layer in wanted if not self.has(layer)]
        for layer in wanted:
            moved(layer, WAITING if layer in missing else THERE, 0)
        return Fetch(missing, lambda layer, stop: self.fetch_one(reference, layer, moved, stop), done)

    def fetch_one(self, reference: Reference, layer: Layer, moved: Moved, stop: threading.Event | None = None) -> None:
        """Store one layer. Raises RegistryFault, SourceFault, TransportFault; nothing is left then."""

        def note(count: int) -> None:
            if stop is not None and stop.is_set():
                raise RegistryFault("another layer failed")
            moved(layer, COMING, count)

        def take(client: Client) -> None:
            where = f"{client.place.registry}/{client.place.repository}: blob {layer.blob.digest}"
            with Download(client, layer.blob, note) as stream:
                take_stream(stream, where, self._blobs, layer.diff_id, layer.blob, self._limits)

        self._registries.blob(reference, take)
        moved(layer, DONE, layer.blob.size)

    def cancel(self) -> None:
        self._registries.cancel()

    def has(self, layer: Layer) -> bool:
        return self._blobs.has(layer.blob.digest, layer.blob.size)

    def _keep(self, reference: Reference, found: Located) -> Image:
        """The manifest is written last: its presence says that its config is there."""
        raw, descriptor = found.manifest.raw, found.manifest.descriptor
        manifest = read_manifest(raw)
        for blob in manifest.layers:
            if blob.urls:
                raise SourceFault(f"{reference}: layer {blob.digest} is kept elsewhere, which is not supported")
        config = self._registries.config(reference, manifest.config)
        image = parse(raw, config, descriptor)
        self._blobs.put(config)
        self._blobs.put(raw)
        if found.top is not found.manifest:
            self._blobs.put(found.top.raw)
        return image
