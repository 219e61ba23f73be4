"""Image: a config and a manifest that belong together, with the bytes that their digests name."""

from __future__ import annotations

import msgspec

from builder.errors import ImageFault
from builder.layer.layer import Layer
from builder.oci.config import ImageConfig, encode_config, parse_config
from builder.oci.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
)
from builder.oci.manifest import Manifest, encode, read_manifest
from cache.digest import Digest


class Image(msgspec.Struct, frozen=True):
    """config_raw and manifest_raw: the bytes as they are stored, never encoded again. descriptor: of the manifest."""

    config: ImageConfig
    config_raw: bytes
    manifest: Manifest
    manifest_raw: bytes
    descriptor: Descriptor

    @property
    def id(self) -> Digest:
        """The image id as Docker shows it: the digest of the config."""
        return self.manifest.config.digest

    @property
    def images(self) -> tuple[Image, ...]:
        """Itself, as of an index of one (see builder.images.index.AnyImage)."""
        return (self,)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Bottom first."""
        return tuple(Layer(d, b) for d, b in zip(self.config.diff_ids, self.manifest.layers, strict=True))

    @property
    def size(self) -> int:
        """Bytes of everything that the image is stored as."""
        return len(self.manifest_raw) + self.manifest.config.size + sum(blob.size for blob in self.manifest.layers)


_DOCKER = {OCI_LAYER: DOCKER_LAYER, OCI_LAYER_GZIP: DOCKER_LAYER_GZIP, OCI_LAYER_ZSTD: DOCKER_LAYER_ZSTD}


def assemble(
    config: ImageConfig,
    layers: tuple[Layer, ...],
    annotations: dict[str, str] | None = None,
    *,
    docker: bool = False,
    descriptor_annotations: dict[str, str] | None = None,
) -> Image:
    """Make an image of a config and its layers, bottom first; the config's diff_ids are taken from the layers.

    annotations: of the manifest. docker: Docker's media types instead of OCI's.
    """
    config = msgspec.structs.replace(config, diff_ids=tuple(layer.diff_id for layer in layers))
    config_raw = encode_config(config)
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = Manifest(
        config=Descriptor(DOCKER_CONFIG if docker else OCI_CONFIG, Digest.of(config_raw), len(config_raw)),
        layers=tuple(_plain(layer.blob, docker) for layer in layers),
        media_type=media_type,
        annotations=annotations or None,
    )
    manifest_raw = encode(manifest)
    descriptor = Descriptor(
        media_type, Digest.of(manifest_raw), len(manifest_raw), config.platform, descriptor_annotations or {}
    )
    return Image(config, config_raw, manifest, manifest_raw, descriptor)


def _plain(blob: Descriptor, docker: bool) -> Descriptor:
    """A layer's descriptor without what only its former place said of it (annotations, urls)."""
    media_type = _DOCKER.get(blob.media_type, blob.media_type) if docker else blob.media_type
    return Descriptor(media_type, blob.digest, blob.size)


def parse(manifest_raw: bytes, config_raw: bytes, descriptor: Descriptor) -> Image:
    """Read an image from its documents; raises ImageFault where they do not fit each other."""
    manifest, config = read_manifest(manifest_raw), parse_config(config_raw)
    if len(manifest.layers) != len(config.diff_ids):
        raise ImageFault(
            f"image {descriptor.digest}: its manifest has {len(manifest.layers)} layers, "
            f"its config names {len(config.diff_ids)}"
        )
    return Image(config, config_raw, manifest, manifest_raw, descriptor)
