"""Which image `run` takes, and from where: the local store, else its registry, as --pull says."""

from __future__ import annotations

import os
import sys

import click
import msgspec
from msgspec.structs import replace

from builder.errors import ImageFault
from builder.images.image import Image
from builder.images.naming import StoredImage, shown
from builder.images.platforms import of_platform, platform_of, whole_images
from builder.images.store import ImageStore
from builder.oci.descriptor import INDEXES
from builder.oci.match import best
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from builder.progress.clean import clean
from cache.store import Store

POLICIES = ("always", "missing", "never")


class Wanted(msgspec.Struct, frozen=True):
    """policy: one of POLICIES. platform: None for this machine's, or what there is. quiet: say nothing of a pull."""

    name: str
    policy: str = "missing"
    platform: Platform | None = None
    quiet: bool = False


def image_for(wanted: Wanted, store: Store, images: ImageStore) -> tuple[StoredImage, Image]:
    """The image, in the store. Raises ImageFault, and what a pull raises."""
    if wanted.policy != "always":
        found = _local(wanted, store, images)
        if found is not None:
            return found
        if wanted.policy == "never":
            raise ImageFault(f"No such image: {shown(wanted.name)}", "lapstrake images lists what there is")
        click.echo(f"Unable to find image '{clean(shown(wanted.name))}' locally", err=True)
    _pull(wanted, store, images)
    found = _local(wanted, store, images)
    if found is None:
        raise ImageFault(f"No such image: {shown(wanted.name)}")
    return found


def _local(wanted: Wanted, store: Store, images: ImageStore) -> tuple[StoredImage, Image] | None:
    """None too where it is not for the platform that is meant, unless nothing else may be looked for."""
    stored = images.resolve(wanted.name)
    if stored is None:
        return None
    platform = wanted.platform or host()
    here = {image.descriptor.digest: image for image in whole_images(images, store.blobs, stored.descriptor)}
    fitting = best([replace(image.descriptor, platform=platform_of(image)) for image in here.values()], platform)
    if fitting:
        return stored, here[fitting[0].digest]
    if wanted.platform is None and stored.descriptor.media_type not in INDEXES:
        image = images.load(stored.descriptor)
        click.echo(
            f"WARNING: The requested image's platform ({platform_of(image)}) does not match the detected host "
            f"platform ({platform}) and no specific platform was requested",
            err=True,
        )
        return stored, image
    if wanted.policy == "never":
        of_platform(images, store.blobs, stored.descriptor, platform, wanted.name)
    return None


def _pull(wanted: Wanted, store: Store, images: ImageStore) -> None:
    from builder.cli.bounds import unpack_limits
    from builder.cli.pull import pull
    from builder.cli.registries import opened_registries
    from builder.source.pulled import Pulled

    reference = Reference.parse(wanted.name)
    with opened_registries(os.environ) as registries:
        pulled = Pulled(registries, store.blobs, unpack_limits(os.environ))
        pull(reference, wanted.platform, pulled, images, store.index, sys.stderr, wanted.quiet)
