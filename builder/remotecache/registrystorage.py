"""RegistryStorage: a cache as a manifest in a registry."""

from __future__ import annotations

import threading
from collections.abc import Callable

from builder.errors import Canceled
from builder.images.intake import take_stream
from builder.layer.layer import Layer
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.reference import DEFAULT_TAG, Reference
from builder.registry.client import Client
from builder.registry.download import Download
from builder.registry.registries import Registries
from builder.registry.upload import Upload
from builder.remotecache.storage import Moved
from cache.blobs import BlobStore


class RegistryStorage:
    """connect: called when the first request is to be made."""

    def __init__(self, reference: Reference, connect: Callable[[], Registries]) -> None:
        self.reference = reference
        self.name = reference.familiar
        self._connect = connect
        self._lock = threading.Lock()
        self._registries: Registries | None = None
        self._upload: Upload | None = None
        self._canceled = False

    def manifest(self) -> bytes:
        return self._connected().top(self.reference).raw

    def document(self, blob: Descriptor) -> bytes:
        registries = self._connected()
        if blob.media_type in MANIFESTS | INDEXES:
            return registries.document(self.reference, blob).raw
        return registries.config(self.reference, blob)

    def fetch(self, layer: Layer, blobs: BlobStore, moved: Moved) -> None:
        def take(client: Client) -> None:
            where = f"{client.place.registry}/{client.place.repository}: blob {layer.blob.digest}"
            with Download(client, layer.blob, moved) as stream:
                take_stream(stream, where, blobs, layer.diff_id, layer.blob)

        self._connected().blob(self.reference, take)

    def has(self, blob: Descriptor) -> bool:
        return self._uploading().has(blob)

    def mount(self, blob: Descriptor, source: Reference) -> bool:
        if source.registry != self.reference.registry or source.repository == self.reference.repository:
            return False
        return self._uploading().mount(blob, source.repository)

    def send(self, blob: Descriptor, blobs: BlobStore) -> None:
        self._uploading().blob(blob, blobs.path(blob.digest), lambda count: None)

    def put(self, blob: Descriptor, raw: bytes) -> None:
        self._uploading().data(blob, raw)

    def publish(self, manifest: Descriptor, raw: bytes) -> None:
        self._uploading().manifest(raw, manifest, self.reference.tag or DEFAULT_TAG)

    def cancel(self) -> None:
        with self._lock:
            registries, self._registries, self._upload = self._registries, None, None
            self._canceled = True
        if registries is not None:
            registries.cancel()

    def resume(self) -> None:
        self._canceled = False

    def _connected(self) -> Registries:
        with self._lock:
            if self._canceled:
                raise Canceled("canceled")
            if self._registries is None:
                self._registries = self._connect()
            return self._registries

    def _uploading(self) -> Upload:
        registries = self._connected()
        with self._lock:
            if self._upload is None:
                self._upload = Upload(registries.destination(self.reference))
            return self._upload
