"""All images of an OCI image layout: what `load` takes, where a build takes one for its platform."""

from __future__ import annotations

from builder.errors import ImageFault, SourceFault
from builder.images.files import Files, read_document
from builder.images.intake import take_document
from builder.images.layout import blob_name, take_image
from builder.images.layoutfile import IMAGE_NAME, INDEX_FILE, REF_NAME
from builder.oci.config import parse_config
from builder.oci.descriptor import CONFIGS, INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import read_index, read_manifest
from builder.oci.match import same
from builder.oci.platform import Platform
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest

_DEPTH = 4  # indexes within indexes

Loaded = tuple[Descriptor, tuple[str, ...]]
"""An image or index of an archive that is in the store, and the names that the archive has for it."""


def import_all(files: Files, blobs: BlobStore, platforms: tuple[Platform, ...] = ()) -> list[Loaded]:
    """Every image and index of a layout. Of an index what is there of it is taken.

    platforms: only images for these, each of which every entry must have. Raises SourceFault, ImageFault.
    """
    raw = read_document(files, INDEX_FILE)
    if raw is None:
        raise SourceFault(f"{files.where} is not an OCI image layout: index.json is missing")
    names: dict[Digest, list[str]] = {}
    entries: dict[Digest, Descriptor] = {}
    for entry in read_index(raw).manifests:
        if entry.media_type in INDEXES | MANIFESTS and (entry.platform is None or entry.platform.os != "unknown"):
            entries.setdefault(entry.digest, entry)
            found = [entry.annotations.get(key, "") for key in (IMAGE_NAME, REF_NAME)]
            names.setdefault(entry.digest, []).extend([name for name in found if ":" in name or "/" in name][:1])
    if not entries:
        raise SourceFault(f"{files.where} does not hold any image")
    loading = _Loading(files, blobs, platforms)
    return [
        (loading.entry(entry, names[digest]), tuple(dict.fromkeys(names[digest]))) for digest, entry in entries.items()
    ]


def lacking(files: Files, names: list[str], wanted: Platform) -> SourceFault:
    """What is wrong with an image that is not for the platform that was asked for."""
    what = names[0] if names else "an image without a name"
    return SourceFault(f"{files.where}: {what} doesn't provide the requested platform ({wanted.full})")


class _Loading:
    """One archive on its way into the store."""

    def __init__(self, files: Files, blobs: BlobStore, platforms: tuple[Platform, ...]) -> None:
        self._files, self._blobs, self._platforms = files, blobs, platforms
        self._had: dict[Digest, dict[Platform, None]] = {}  # so that an index that is named often is read once

    def entry(self, entry: Descriptor, names: list[str]) -> Descriptor:
        had = self._take(entry, _DEPTH)
        for wanted in self._platforms:
            if not any(same(platform, wanted) for platform in had):
                raise lacking(self._files, names, wanted)
        if not had:
            raise SourceFault(f"{self._files.where} holds no image of {entry.digest}")
        platform = next(iter(had)) if entry.media_type in MANIFESTS else None
        return Descriptor(entry.media_type, entry.digest, entry.size, platform=platform)

    def _take(self, entry: Descriptor, depth: int) -> dict[Platform, None]:
        """Store an image, or an index after what is there of it; the platforms of the images that were stored."""
        if entry.digest not in self._had:
            self._had[entry.digest] = {}
            is_image = entry.media_type in MANIFESTS
            self._had[entry.digest] = self._image(entry) if is_image else self._index(entry, depth)
        return self._had[entry.digest]

    def _index(self, entry: Descriptor, depth: int) -> dict[Platform, None]:
        if not depth:
            raise ImageFault(f"{self._files.where}: indexes are nested more than {_DEPTH} deep")
        raw = take_document(self._files, blob_name(entry.digest), entry, DOCUMENT_LIMIT)
        had: dict[Platform, None] = {}
        for one in read_index(raw).manifests:
            if one.media_type in INDEXES | MANIFESTS and self._files.open(blob_name(one.digest)) is not None:
                had |= self._take(one, depth - 1)
        self._blobs.put(raw)
        return had

    def _image(self, entry: Descriptor) -> dict[Platform, None]:
        """What is no image, but only stored like one, is left out."""
        manifest = read_manifest(take_document(self._files, blob_name(entry.digest), entry, DOCUMENT_LIMIT))
        if manifest.config.media_type not in CONFIGS:
            return {}
        config = take_document(self._files, blob_name(manifest.config.digest), manifest.config, DOCUMENT_LIMIT)
        platform = entry.platform or parse_config(config).platform
        if self._platforms and not any(same(platform, wanted) for wanted in self._platforms):
            return {}
        take_image(self._files, entry, self._blobs)
        return {platform: None}
