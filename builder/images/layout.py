"""Reading an image out of an OCI image layout (image-layout.md), be it a folder or a tar archive."""

from __future__ import annotations

import os

from builder.errors import ImageFault, SourceFault
from builder.images.files import Files, FolderFiles, read_document
from builder.images.image import Image, parse
from builder.images.intake import take_document, take_layer
from builder.images.layoutfile import IMAGE_NAME, INDEX_FILE, LAYOUT_FILE, REF_NAME
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import Index, read_index, read_manifest
from builder.oci.match import best
from builder.oci.platform import Platform
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest

_DEPTH = 4  # indexes within indexes


def import_layout(path: str, selector: str, blobs: BlobStore, platform: Platform) -> Descriptor:
    """Copy an image of the layout in folder `path` into the store; returns its manifest's descriptor.

    selector: a tag or name (annotation org.opencontainers.image.ref.name), `sha256:<hex>` of a manifest or index, or ""
    for the only image, else the one called latest. platform: chosen from indexes. Raises SourceFault, ImageFault.
    """
    if not os.path.isdir(path):
        raise SourceFault(f"OCI layout {path}: no such directory", "give the folder that has oci-layout and index.json")
    with FolderFiles(path) as files:
        return import_from(files, selector, blobs, platform)


def import_from(files: Files, selector: str, blobs: BlobStore, platform: Platform) -> Descriptor:
    """The same, from any Files."""
    if read_document(files, LAYOUT_FILE) is None:
        raise SourceFault(f"{files.where} is not an OCI image layout: oci-layout is missing")
    raw = read_document(files, INDEX_FILE)
    if raw is None:
        raise SourceFault(f"{files.where} is not an OCI image layout: index.json is missing")
    chosen = _select(files, read_index(raw), selector)
    return take_image(files, _descend(files, chosen, platform), blobs)


def _select(files: Files, index: Index, selector: str) -> list[Descriptor]:
    """The entries of index.json that the selector means."""
    known = [d for d in index.manifests if d.media_type in INDEXES | MANIFESTS]
    if selector.startswith("sha256:"):
        digest = Digest.parse(selector)
        found = [d for d in known if d.digest == digest]
    elif selector:
        found = [d for d in known if _called(d, selector)]
    else:
        found = known
        if len({d.digest for d in known}) > 1:
            found = [d for d in known if _called(d, "latest")] or (known if all(d.platform for d in known) else [])
    if not found:
        names = ", ".join(sorted({d.annotations[REF_NAME] for d in known if REF_NAME in d.annotations})) or "none"
        wanted = f"an image {selector!r}" if selector else "an image to choose" if known else "any image"
        raise SourceFault(f"{files.where} does not hold {wanted}", f"names in it: {names:.500}")
    return found


def _called(descriptor: Descriptor, name: str) -> bool:
    """Whether an entry's name, or the tag at the end of it, is `name`."""
    names = (descriptor.annotations.get(REF_NAME, ""), descriptor.annotations.get(IMAGE_NAME, ""))
    return any(n == name or (":" not in name and n.endswith(f":{name}")) for n in names)


def _descend(files: Files, entries: list[Descriptor], platform: Platform) -> Descriptor:
    """From entries down through indexes to the manifest for the platform."""
    for _ in range(_DEPTH):
        entry = _for_platform(files, entries, platform)
        if entry.media_type in MANIFESTS:
            return entry
        index = read_index(take_document(files, blob_name(entry.digest), entry, DOCUMENT_LIMIT))
        entries = [d for d in index.manifests if d.media_type in INDEXES | MANIFESTS]
    raise ImageFault(f"{files.where}: indexes are nested more than {_DEPTH} deep")


def _for_platform(files: Files, entries: list[Descriptor], platform: Platform) -> Descriptor:
    fitting = best(entries, platform)
    if not fitting:
        had = ", ".join(sorted({str(d.platform) for d in entries})) or "none"
        raise SourceFault(f"{files.where}: no match for platform {platform}", f"platforms in it: {had:.500}")
    if len({d.digest for d in fitting}) > 1:
        raise SourceFault(f"{files.where} holds several images for {platform}", "name one by its tag or digest")
    return fitting[0]


def blob_name(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def take_image(files: Files, entry: Descriptor, blobs: BlobStore) -> Descriptor:
    """Store layers, config and, last, the manifest: its presence says that all it names was checked once."""
    raw = take_document(files, blob_name(entry.digest), entry, DOCUMENT_LIMIT)
    manifest = read_manifest(raw)
    config = take_document(files, blob_name(manifest.config.digest), manifest.config, DOCUMENT_LIMIT)
    image = parse(raw, config, entry)
    descriptor = Descriptor(entry.media_type, entry.digest, entry.size, platform=image.config.platform)
    if not (blobs.has(entry.digest, entry.size) and _complete(image, blobs)):
        for layer in image.layers:
            take_layer(files, blob_name(layer.blob.digest), blobs, layer.diff_id, layer.blob)
        blobs.put(config)
        blobs.put(raw)
    return descriptor


def _complete(image: Image, blobs: BlobStore) -> bool:
    return all(blobs.has(d.digest, d.size) for d in (image.manifest.config, *image.manifest.layers))
