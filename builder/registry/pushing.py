"""Pushing: an image, or an index with its images, to a registry: blobs, then manifests, the name last."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from builder.errors import OutputFault, PartMissing
from builder.oci.descriptor import INDEXES, Descriptor
from builder.oci.manifest import read_index, read_manifest
from builder.oci.reference import Reference
from builder.registry.registries import Registries
from builder.registry.upload import Upload
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.waiting import outcome

_AT_ONCE = 5  # blobs, as Docker has it
_DEPTH = 4

Moved = Callable[[Descriptor, str], None]
"""Told of a layer what is done with it."""
PREPARING, EXISTS, MOUNTED, PUSHED = "Preparing", "Layer already exists", "Mounted", "Pushed"


def push(
    descriptor: Descriptor,
    reference: Reference,
    blobs: BlobStore,
    registries: Registries,
    moved: Moved,
    origin: Callable[[Digest], Reference | None] = lambda digest: None,
    by_digest: bool = False,
) -> None:
    """Send what the registry lacks. origin: the image of a registry that a layer is of, to be mounted from.

    by_digest: give it no tag. Raises RegistryFault, TransportFault, OutputFault where a part is not in the store;
    PartMissing, before anything is sent, where that is an image of an index and the registry does not have it either.
    """
    upload = Upload(registries.destination(reference))
    _check(descriptor, reference, blobs, upload, _DEPTH)
    _push(descriptor, reference, blobs, upload, moved, origin, "" if by_digest else reference.tag, _DEPTH)


def _check(descriptor: Descriptor, reference: Reference, blobs: BlobStore, upload: Upload, depth: int) -> None:
    if descriptor.media_type not in INDEXES or not depth:
        return
    for entry in read_index(blobs.read(descriptor.digest)).manifests:
        if blobs.has(entry.digest, entry.size):
            _check(entry, reference, blobs, upload, depth - 1)
        elif not upload.has_manifest(entry):
            raise PartMissing(
                f"{reference.familiar}: the image for {entry.platform} is not in the local store",
                "pull it with --platform, or push one platform with --platform",
            )


def _push(
    descriptor: Descriptor,
    reference: Reference,
    blobs: BlobStore,
    upload: Upload,
    moved: Moved,
    origin: Callable[[Digest], Reference | None],
    tag: str,
    depth: int,
) -> None:
    raw = blobs.read(descriptor.digest)
    if descriptor.media_type in INDEXES:
        for entry in read_index(raw).manifests if depth else ():
            if blobs.has(entry.digest, entry.size):
                _push(entry, reference, blobs, upload, moved, origin, "", depth - 1)
    else:
        manifest = read_manifest(raw)
        layers = list({layer.digest: layer for layer in manifest.layers}.values())
        for layer in layers:
            moved(layer, PREPARING)
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="push")
        try:
            for done in [pool.submit(_layer, layer, reference, blobs, upload, moved, origin) for layer in layers]:
                outcome(done)
        except KeyboardInterrupt:
            upload.cancel()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if not upload.has(manifest.config):
            upload.data(manifest.config, blobs.read(manifest.config.digest))
    upload.manifest(raw, descriptor, tag or str(descriptor.digest))


def _layer(
    layer: Descriptor,
    reference: Reference,
    blobs: BlobStore,
    upload: Upload,
    moved: Moved,
    origin: Callable[[Digest], Reference | None],
) -> None:
    if upload.has(layer):
        moved(layer, EXISTS)
        return
    source = origin(layer.digest)
    if (
        source is not None
        and source.registry == reference.registry
        and source.repository != reference.repository
        and upload.mount(layer, source.repository)
    ):
        moved(layer, f"{MOUNTED} from {source.repository}")
        return
    if not blobs.obtain(layer.digest, layer.size):
        raise OutputFault(f"blob {layer.digest} of {layer.size} bytes is not in the store", "build or pull it again")
    upload.blob(layer, blobs.path(layer.digest), lambda count: None)
    moved(layer, PUSHED)
