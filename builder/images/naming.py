"""What a person may call an image in the store, and which image is meant by it."""

from __future__ import annotations

import msgspec

from builder.errors import ImageFault
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference

BASE_NAME = "dev.lapstrake.base"  # annotation of such a memo's descriptor: the name
BASE_TOP = "dev.lapstrake.top"  # and the digest that it stood for
BASE_MEMO = "base"  # a name and platform of a FROM -> descriptor of the manifest that its registry gave


class StoredImage(msgspec.Struct, frozen=True):
    """descriptor: of a manifest or index. names: familiar, sorted; none for an untagged image. created: RFC 3339."""

    descriptor: Descriptor
    names: tuple[str, ...]
    created: str


def parsed(text: str) -> Reference | None:
    """A reference, or None where the text is none."""
    try:
        return Reference.parse(text)
    except ImageFault:
        return None


def by_name(images: tuple[StoredImage, ...], text: str) -> StoredImage | None:
    """The image that has the name `text`."""
    return next((image for image in images if any(names_it(name, text, image) for name in image.names)), None)


def names_it(name: str, text: str, image: StoredImage | None = None) -> bool:
    """Whether `text` means the image of this name (and, where text has one and image is given, of this digest)."""
    wanted = parsed(text)
    if wanted is None:
        return False
    have = parsed(name)
    if have is None:
        return False
    if wanted.digest and image is not None and image.descriptor.digest != wanted.digest:
        return False
    if (have.registry, have.repository) != (wanted.registry, wanted.repository):
        return False
    return have.tag == wanted.tag or (not wanted.tag and wanted.digest is not None)


def shown(text: str) -> str:
    """A name as Docker repeats it in messages: with its tag."""
    reference = parsed(text)
    return reference.familiar if reference else text


def halves(name: str) -> tuple[str, str]:
    """Repository and tag of an image's name; one by digest has no tag."""
    if "@" in name:
        return name.partition("@")[0], ""
    repository, _, tag = name.rpartition(":")
    return repository, tag
