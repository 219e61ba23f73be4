"""What two makings of one image differ in: members of layers and their headers, fields of config and manifest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import msgspec

from builder.images.image import Image
from builder.images.index import AnyImage, ImageIndex
from builder.layer import whiteout
from builder.layer.entry import Content, Entry, Item, Kind
from builder.layer.layer import Layer
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from cache.blobs import BlobStore

_FIELDS = ("kind", "mode", "uid", "gid", "mtime", "size", "link", "device", "xattrs")
_RANKS = {Kind.OPAQUE: 0, Kind.WHITEOUT: 1}  # before everything else in a folder: builder.layer.changes
_ABSENT = "absent"


class Difference(msgspec.Struct, frozen=True):
    """where: the step, or the document. what: a member and what about it, or a field. first, second: as shown."""

    where: str
    what: str
    first: str
    second: str


class Making(msgspec.Struct, frozen=True):
    """One making of an image. blobs: where its layers are."""

    image: AnyImage
    blobs: BlobStore


def differences(first: Making, second: Making, limits: Limits) -> Iterator[Difference]:
    """All of them, nothing for equal images. Layers are streamed. limits: of each. Raises LayerFault, CacheFault."""
    if isinstance(first.image, ImageIndex) and isinstance(second.image, ImageIndex):
        yield from _document("index", _without_parts(first.image.raw), _without_parts(second.image.raw))
    for ours, theirs in zip(first.image.images, second.image.images, strict=True):
        name = str(ours.config.platform) if len(first.image.images) > 1 else ""
        for found in _of_image(ours, theirs, first.blobs, second.blobs, limits):
            yield msgspec.structs.replace(found, where=f"{name} {found.where}") if name else found


def _of_image(ours: Image, theirs: Image, first: BlobStore, second: BlobStore, limits: Limits) -> Iterator[Difference]:
    if ours.descriptor == theirs.descriptor:
        return
    yield from _document("config", _without_layers(ours.config_raw), _without_layers(theirs.config_raw))
    yield from _document("manifest", _without_parts(ours.manifest_raw), _without_parts(theirs.manifest_raw))
    if len(ours.layers) != len(theirs.layers):
        yield Difference("image", "number of layers", str(len(ours.layers)), str(len(theirs.layers)))
    for name, one, other in zip(_steps(ours), ours.layers, theirs.layers, strict=False):
        if one.diff_id == other.diff_id:
            if one.blob.digest != other.blob.digest:
                yield Difference(name, "compressed form", str(one.blob.digest), str(other.blob.digest))
            continue
        found = False
        for difference in _of_layer(one, other, first, second, limits):
            found = True
            yield msgspec.structs.replace(difference, where=name)
        if not found:
            yield Difference(name, "form or order of the archive", str(one.diff_id), str(other.diff_id))


def _steps(image: Image) -> list[str]:
    """What made each layer, as far as the history says."""
    made = [entry.created_by for entry in image.config.history if not entry.empty_layer]
    known = len(made) == len(image.layers)
    return [f"layer {n + 1}" + (f" ({made[n]})" if known else "") for n in range(len(image.layers))]


def _document(name: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    before, after = dict(_fields("", ours)), dict(_fields("", theirs))
    for field in sorted(before.keys() | after.keys()):
        if before.get(field) != after.get(field):
            yield Difference(name, field, before.get(field, _ABSENT), after.get(field, _ABSENT))


def _fields(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The leaves of a JSON document: `config.Env[2]`."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(f"{path}.{key}" if path else key, inner)
    elif isinstance(value, list) and value:
        for n, inner in enumerate(value):
            yield from _fields(f"{path}[{n}]", inner)
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _without_layers(raw: bytes) -> Any:
    data = json.loads(raw)
    data.pop("rootfs", None)
    return data


def _without_parts(raw: bytes) -> Any:
    """A manifest or index without the digests and sizes of what it names, which are compared as what they name."""
    data = json.loads(raw)
    for part in (data.get("config"), *data.get("layers", ()), *data.get("manifests", ())):
        if part:
            part.pop("digest", None)
            part.pop("size", None)
    return data


def _of_layer(one: Layer, other: Layer, first: BlobStore, second: BlobStore, limits: Limits) -> Iterator[Difference]:
    with ExitStack() as opened:
        ours = _Members(opened, one, first, limits)
        theirs = _Members(opened, other, second, limits)
        while ours.key is not None or theirs.key is not None:
            if theirs.key is None or (ours.key is not None and ours.key < theirs.key):
                yield Difference("", _shown(ours.entry), "there", _ABSENT)
                ours.advance()
            elif ours.key is None or theirs.key < ours.key:
                yield Difference("", _shown(theirs.entry), _ABSENT, "there")
                theirs.advance()
            else:
                yield from _of_member(ours, theirs)
                ours.advance()
                theirs.advance()


_Key = list[tuple[int, bytes]]


class _Members:
    """The members of a layer one by one. key: its place in the order of a layer, None after the last."""

    def __init__(self, opened: ExitStack, layer: Layer, blobs: BlobStore, limits: Limits) -> None:
        reader = opened.enter_context(blobs.open(layer.blob.digest))
        self._items: Iterator[Item] = whiteout.from_oci(open_archive(reader, limits, f"layer {layer.diff_id}"))
        self._finish: Callable[[], None] = reader.finish
        self.advance()

    def advance(self) -> None:
        item = next(self._items, None)
        if item is None:
            self._finish()
            self.key: _Key | None = None
            return
        self.entry, self.content = item
        self.key = _place(self.entry)


def _place(entry: Entry) -> _Key:
    parts = [(2, part) for part in entry.path.split(b"/")]
    rank = _RANKS.get(entry.kind, 2)
    if entry.kind is Kind.OPAQUE:
        return [*parts, (rank, b"")] if entry.path else [(rank, b"")]
    return [*parts[:-1], (rank, parts[-1][1])]


def _of_member(ours: _Members, theirs: _Members) -> Iterator[Difference]:
    for field in _FIELDS:
        before, after = getattr(ours.entry, field), getattr(theirs.entry, field)
        if before != after:
            yield Difference(
                "", f"{_shown(ours.entry)}: {field}", _value(ours.entry, field), _value(theirs.entry, field)
            )
    at = _first_other_byte(ours.content, theirs.content)
    if at is not None:
        yield Difference("", f"{_shown(ours.entry)}: content", f"from byte {at} on", "")


def _first_other_byte(one: Content | None, other: Content | None) -> int | None:
    """Where the contents begin to differ; both are read to their ends."""
    ours, theirs = (iter(()) if content is None else content.chunks() for content in (one, other))
    left = right = memoryview(b"")
    at, found = 0, None
    while True:
        left = left or memoryview(next(ours, b""))
        right = right or memoryview(next(theirs, b""))
        if not left and not right:
            return found
        size = min(len(left), len(right))
        if found is None and (not size or left[:size] != right[:size]):
            found = at + next((n for n in range(size) if left[n] != right[n]), size)
        size = size or max(len(left), len(right))
        at, left, right = at + size, left[size:], right[size:]


def _shown(entry: Entry) -> str:
    mark = {Kind.WHITEOUT: "deletion of ", Kind.OPAQUE: "deletion of all in "}.get(entry.kind, "")
    return f"{mark}/{entry.path.decode(errors='backslashreplace')}"


def _value(entry: Entry, field: str) -> str:
    value = getattr(entry, field)
    if isinstance(value, Kind):
        return value.value
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if field == "mtime" and 0 <= value < 1 << 36:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))
    if field == "mode":
        return f"{value:04o}"
    if field == "xattrs":
        return ", ".join(f"{name.decode(errors='backslashreplace')}={data.hex()}" for name, data in value) or "none"
    return str(value)
