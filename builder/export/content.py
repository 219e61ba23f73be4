"""What an image is written as: the files of an OCI layout, in name order, each as bytes or as a blob to copy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from builder.images.image import Image
from builder.images.index import AnyImage, ImageIndex
from builder.images.layoutfile import IMAGE_NAME, INDEX_FILE, LAYOUT, LAYOUT_FILE, REF_NAME
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import Index, encode
from builder.oci.match import best
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from cache.digest import Digest

CREATED = "org.opencontainers.image.created"


class File(msgspec.Struct, frozen=True):
    """data: the bytes, or None where they are the store's blob `digest`. size: in bytes."""

    name: str
    size: int
    data: bytes | None = None
    digest: Digest | None = None


Named = tuple[AnyImage, tuple[Reference, ...]]


def layout_files(image: AnyImage, names: tuple[Reference, ...], docker: bool) -> list[File]:
    """All files of the layout. docker: with the manifest.json that `docker load` reads, which has no indexes."""
    return archive_files(((image, names),), docker)


def archive_files(images: Sequence[Named], docker: bool, platform: Platform | None = None) -> list[File]:
    """The same for several images; what they share is there once. platform: of an index's image in manifest.json."""
    files: dict[str, File] = {}
    for image, _ in images:
        small = {image.descriptor.digest: image.raw} if isinstance(image, ImageIndex) else {}
        for one in image.images:
            small |= {one.id: one.config_raw, one.descriptor.digest: one.manifest_raw}
        files |= {_path(digest): File(_path(digest), len(raw), data=raw) for digest, raw in small.items()}
        for blob in [blob for one in image.images for blob in one.manifest.layers]:
            files.setdefault(_path(blob.digest), File(_path(blob.digest), blob.size, digest=blob.digest))
    texts = {INDEX_FILE: _index(images), LAYOUT_FILE: LAYOUT}
    if docker:
        texts["manifest.json"] = _docker_manifest(images, platform)
    files |= {name: File(name, len(data), data=data) for name, data in texts.items()}
    return [files[name] for name in sorted(files)]


def _path(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def _index(images: Sequence[Named]) -> bytes:
    """One entry for each name, since an entry can carry only one."""
    entries = []
    for image, names in images:
        d, created = image.descriptor, max(one.config.created for one in image.images)
        platform = image.config.platform if isinstance(image, Image) else None
        common = d.annotations | ({CREATED: created} if created else {})
        for notes in [{**common, IMAGE_NAME: str(name), REF_NAME: name.tag} for name in names] or [common]:
            entries.append(Descriptor(d.media_type, d.digest, d.size, platform=platform, annotations=notes))
    return encode(Index(tuple(entries)))


def _of_platform(image: AnyImage, platform: Platform | None) -> Image | None:
    """The image itself; of an index the one for platform, if that is given and there is one."""
    if isinstance(image, Image):
        return image
    fitting = best(image.value.manifests, platform) if platform is not None else ()
    return next((one for one in image.images if fitting and one.descriptor.digest == fitting[0].digest), None)


def _docker_manifest(images: Sequence[Named], platform: Platform | None) -> bytes:
    entries: list[dict[str, Any]] = [
        {
            "Config": _path(image.id),
            "RepoTags": [name.familiar for name in names] or None,
            "Layers": [_path(blob.digest) for blob in image.manifest.layers],
        }
        for given, names in images
        if (image := _of_platform(given, platform)) is not None
    ]
    return json.dumps(entries, separators=(",", ":")).encode()
