"""ImageIndex: images for several platforms under one digest (OCI image-spec image-index.md)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from builder.images.image import Image
from builder.oci.descriptor import DOCKER_INDEX, OCI_INDEX, Descriptor
from builder.oci.manifest import Index, encode
from builder.oci.platform import Platform
from cache.digest import Digest


class ImageIndex(msgspec.Struct, frozen=True):
    """images: in the order of value.manifests. raw: the index's bytes, never encoded again. descriptor: of the index.

    Whoever writes it somewhere writes the images first, each with its manifest last, then raw.
    """

    images: tuple[Image, ...]
    value: Index
    raw: bytes
    descriptor: Descriptor

    @property
    def id(self) -> Digest:
        """What an index is called by: its own digest, since each of its images has a config."""
        return self.descriptor.digest

    @property
    def size(self) -> int:
        """Bytes of all that it is stored as, what its images share counted once."""
        parts = [p for image in self.images for p in (image.descriptor, image.manifest.config, *image.manifest.layers)]
        return len(self.raw) + sum({part.digest: part.size for part in parts}.values())


AnyImage = Image | ImageIndex
"""What a build gives: both have descriptor, id, size and images."""


def join(
    parts: Iterable[tuple[Platform, Image]],
    annotations: dict[str, str] | None = None,
    *,
    docker: bool = False,
    descriptor_annotations: dict[str, str] | None = None,
) -> ImageIndex:
    """An index of images, each for the platform that it was built for, in this order.

    annotations: of the index. docker: Docker's media type instead of OCI's.
    """
    parts = tuple(parts)
    entries = tuple(replace(image.descriptor, platform=platform) for platform, image in parts)
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    value = Index(entries, media_type=media_type, annotations=annotations or None)
    raw = encode(value)
    descriptor = Descriptor(media_type, Digest.of(raw), len(raw), annotations=descriptor_annotations or {})
    return ImageIndex(tuple(image for _, image in parts), value, raw, descriptor)
