"""Annotations of an image: --annotation and the attributes `annotation*` of an output (BuildKit's exptypes)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from builder.errors import OutputFault
from builder.oci.platform import Platform, normalise

TYPES = ("manifest", "manifest-descriptor", "index", "index-descriptor")
_ATTRIBUTE = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)\Z")
_PLACE = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?\Z")


class Annotation(msgspec.Struct, frozen=True):
    """kind: one of TYPES. platform: the only one whose image gets it, None for all."""

    kind: str
    key: str
    value: str
    platform: Platform | None = None


def from_option(text: str) -> tuple[Annotation, ...]:
    """`[TYPE[PLATFORM],…:]KEY=VALUE`. Raises OutputFault in buildx's words."""
    name, equals, value = text.partition("=")
    if not equals:
        raise OutputFault(f'invalid annotation "{text}", expected key=value', "want --annotation KEY=VALUE")
    places, colon, key = name.partition(":")
    if not colon:
        return (Annotation("manifest", name, value),)
    return tuple(_placed(place, key, value) for place in places.split(","))


def _placed(place: str, key: str, value: str) -> Annotation:
    found = _PLACE.match(place)
    if found is None:
        raise OutputFault(f'invalid annotation type "{place}", expected type and optional platform in square brackets')
    if found[1] not in TYPES:
        raise OutputFault(f'unknown annotation type "{found[1]}"', f"known: {', '.join(TYPES)}")
    return Annotation(found[1], key, value, Platform.parse(found[2]) if found[2] else None)


def from_attribute(name: str, value: str) -> Annotation | None:
    """An output's attribute `annotation[-TYPE][[PLATFORM]].KEY`, None where it is another. Raises OutputFault."""
    found = _ATTRIBUTE.match(name)
    if found is None:
        return None
    if found[1] and found[1] not in TYPES:
        raise OutputFault(f"unrecognized annotation type {found[1]}", f"known: {', '.join(TYPES)}")
    return Annotation(found[1] or "manifest", found[3], value, Platform.parse(found[2]) if found[2] else None)


def of_image(
    given: Iterable[Annotation], platform: Platform, joined: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """Those of the manifest and those of its descriptor.

    What names the platform wins over what names none; what names another is passed over, as in BuildKit. joined: the
    image is in an index. Raises OutputFault for what a single image has no place for.
    """
    given = tuple(given)
    found = _by_kind(given, (platform,), strict=False)
    if not joined and any(one.kind.startswith("index") for one in given):
        raise OutputFault("index annotations not supported for single platform export", "use manifest: annotations")
    return found["manifest"], found["manifest-descriptor"]


def of_index(given: Iterable[Annotation], platforms: Iterable[Platform]) -> tuple[dict[str, str], dict[str, str]]:
    """Those of an index of images for these platforms, and those of its descriptor. Raises OutputFault."""
    found = _by_kind(given, tuple(platforms), strict=True)
    return found["index"], found["index-descriptor"]


def _by_kind(
    given: Iterable[Annotation], platforms: tuple[Platform, ...], *, strict: bool
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {kind: {} for kind in TYPES}
    names = {str(normalise(platform)) for platform in platforms}
    for one in sorted(given, key=lambda annotation: annotation.platform is not None):
        if one.platform is None or str(normalise(one.platform)) in names:
            found[one.kind][one.key] = one.value
        elif strict:
            raise OutputFault(f"invalid annotation: no platform {one.platform} found in source")
    return found
