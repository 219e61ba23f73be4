"""Which of an index's images is meant by a platform, of those that are here (moby's getPushDescriptor)."""

from __future__ import annotations

from collections.abc import Sequence

from builder.errors import ImageFault
from builder.images.image import Image
from builder.images.store import ImageStore
from builder.oci.descriptor import Descriptor
from builder.oci.match import best, same
from builder.oci.platform import Platform, host
from cache.blobs import BlobStore


def whole_images(images: ImageStore, blobs: BlobStore, descriptor: Descriptor) -> tuple[Image, ...]:
    """The images of an index all of whose layers are here, in its order; of a manifest, itself if it is whole."""
    return tuple(image for image in images.members(descriptor) if _is_whole(image, blobs))


def of_platform(images: ImageStore, blobs: BlobStore, descriptor: Descriptor, wanted: Platform, name: str) -> Image:
    """The one image that is here and for this very platform. ImageFault where there is none, or several."""
    found = [image for image in whole_images(images, blobs, descriptor) if same(platform_of(image), wanted)]
    if not found:
        had = ", ".join(str(platform_of(image)) for image in images.members(descriptor)) or "none"
        raise ImageFault(
            f"image with reference {name} was found but does not provide the specified platform ({wanted.full})",
            f"platforms that are here: {had:.500}",
        )
    if len({image.descriptor.digest for image in found}) > 1:
        raise ImageFault(f"multiple manifests found for platform {wanted.full}", "name the image by its digest")
    return found[0]


def preferred(found: Sequence[Image]) -> Image:
    """The one for this machine, else the first. found: at least one."""
    fitting = {entry.digest for entry in best([image.descriptor for image in found], host())}
    return next((image for image in found if image.descriptor.digest in fitting), found[0])


def one_image(
    images: ImageStore, blobs: BlobStore, descriptor: Descriptor, wanted: Platform | None, name: str
) -> Image:
    """What is shown of an image or index: that for the platform, if one is wanted, else what is preferred."""
    if wanted is not None:
        return of_platform(images, blobs, descriptor, wanted, name)
    found = images.members(descriptor)
    if not found:
        raise _without(name)
    return preferred(found)


def stand_in(images: ImageStore, blobs: BlobStore, descriptor: Descriptor, name: str) -> Image:
    """Of an index that is here in part: its only image, else the one for this machine. ImageFault for neither."""
    found = [image for image in whole_images(images, blobs, descriptor) if platform_of(image).os != "unknown"]
    if not found:
        raise _without(name)
    fitting = {entry.digest for entry in best([image.descriptor for image in found], host())}
    chosen = found if len(found) == 1 else [image for image in found if image.descriptor.digest in fitting]
    if not chosen:
        raise ImageFault(
            f"{name}: multiple matching manifests found but no specific platform requested", "choose with --platform"
        )
    return chosen[0]


def _without(name: str) -> ImageFault:
    return ImageFault(
        f"image with reference {name} was found but does not provide any platform", "pull it with --platform"
    )


def platform_of(image: Image) -> Platform:
    """As its index says, else its config."""
    return image.descriptor.platform or image.config.platform


def _is_whole(image: Image, blobs: BlobStore) -> bool:
    return all(blobs.has(layer.digest, layer.size) for layer in image.manifest.layers)
