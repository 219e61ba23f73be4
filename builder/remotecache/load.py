"""Reading a cache: from the manifest under its name to the records, whichever of the three forms it has."""

from __future__ import annotations

from typing import Any

from builder.errors import ImageFault, SourceFault
from builder.oci.config import parse_config
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import Index, Manifest, read_index, read_manifest
from builder.remotecache.records import CACHE_CONFIG, Shared, decode, from_config
from builder.remotecache.storage import Storage
from builder.solve.assemble import CACHE
from cache import record
from cache.errors import CacheFault

_FOREIGN = "application/vnd.buildkit.cacheconfig.v0"
_PLATFORMS = 32  # images of an index that are looked at


def load(storage: Storage) -> list[Shared]:
    """What is cached there; of an image index one for each image. Raises a Fault that says why it is of no use."""
    raw = storage.manifest()
    try:
        found = _of_index(storage, read_index(raw)) if _is_index(raw) else _of_manifest(storage, read_manifest(raw))
    except CacheFault as error:
        raise SourceFault(error.message, error.hint) from error
    if not found:
        raise SourceFault("it holds no cache of lapstrake", "write one with --cache-to")
    return found


def _is_index(raw: bytes) -> bool:
    try:
        return "manifests" in record.decode(raw, dict[str, Any])
    except CacheFault as error:
        raise ImageFault(f"its manifest is malformed: {error.message}") from error


def _of_index(storage: Storage, index: Index) -> list[Shared]:
    config = next((entry for entry in index.manifests if entry.media_type == CACHE_CONFIG), None)
    if config is not None:
        blobs = tuple(entry for entry in index.manifests if entry is not config)
        return [decode(storage.document(config), blobs)]
    if any(entry.media_type == _FOREIGN for entry in index.manifests):
        raise _foreign()
    images = [entry for entry in index.manifests if entry.media_type in MANIFESTS and _is_image(entry)]
    return [one for entry in images[:_PLATFORMS] for one in _of_manifest(storage, _document(storage, entry))]


def _document(storage: Storage, entry: Descriptor) -> Manifest:
    if entry.media_type in INDEXES:
        raise ImageFault("its indexes are nested")
    return read_manifest(storage.document(entry))


def _is_image(entry: Descriptor) -> bool:
    return entry.platform is None or entry.platform.os != "unknown"


def _of_manifest(storage: Storage, manifest: Manifest) -> list[Shared]:
    kind = manifest.config.media_type
    if kind == CACHE_CONFIG:
        return [decode(storage.document(manifest.config), manifest.layers)]
    if kind == _FOREIGN:
        raise _foreign()
    config = parse_config(storage.document(manifest.config))
    inline = config.unknown.get(CACHE)
    return [] if inline is None else [from_config(inline, config.diff_ids, manifest.layers)]


def _foreign() -> SourceFault:
    return SourceFault("it is a cache of BuildKit, which lapstrake cannot read", "give lapstrake's a name of its own")
