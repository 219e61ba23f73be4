"""Taking blobs into the store from somewhere else, checking all that they claim to be on the way."""

from __future__ import annotations

import hashlib

from builder.errors import Canceled, GrowthFault, ImageFault, RegistryFault, SourceFault, TransportFault
from builder.images.files import Files, Part
from builder.layer.layer import Layer
from builder.layer.limits import HINT, Limits
from builder.layer.plain import open_plain
from builder.layer.readahead import WORTH, ReadAhead
from builder.layer.tarread import Readable
from builder.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Descriptor
from cache.blobs import BlobStore, BlobWriter
from cache.digest import Digest
from cache.errors import DigestMismatch, Fault

_CHUNK = 1 << 20
_MEDIA_TYPES = {"": OCI_LAYER, "gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}


def take_document(files: Files, name: str, descriptor: Descriptor, limit: int) -> bytes:
    """A manifest, index or config: read, of the size and digest that its descriptor says; not yet stored."""
    if descriptor.size > limit:
        raise ImageFault(f"{files.where}: {name} is said to have {descriptor.size} bytes, more than {limit}")
    part = _open(files, name, descriptor.size)
    data = b"".join(iter(lambda: part.read(_CHUNK), b""))
    if Digest.of(data) != descriptor.digest:
        raise SourceFault(f"{files.where}: {name} is damaged: its bytes are {Digest.of(data)}")
    return data


def take_layer(
    files: Files, name: str, blobs: BlobStore, diff_id: Digest | None = None, descriptor: Descriptor | None = None
) -> Layer:
    """Store a layer and prove its diff_id; what is None of it and its descriptor follows from its bytes."""
    if diff_id is not None and descriptor is not None and blobs.has(descriptor.digest, descriptor.size):
        try:
            with blobs.open(descriptor.digest) as reader:
                _prove(reader, diff_id, f"blob {descriptor.digest}")
            return Layer(diff_id, descriptor)
        except DigestMismatch:
            blobs.delete(descriptor.digest)  # the store's copy is damaged; here is another one
    part = _open(files, name, None if descriptor is None else descriptor.size)
    return take_stream(part, f"{files.where}: {name}", blobs, diff_id, descriptor)


def take_stream(
    stream: Readable,
    where: str,
    blobs: BlobStore,
    diff_id: Digest | None = None,
    descriptor: Descriptor | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> Layer:
    """The same from any stream; where: its name for errors. Nothing is stored unless both digests are right."""
    with blobs.writer() as writer:
        if descriptor is not None and descriptor.size < WORTH:
            found, form = _prove(_Tee(stream, writer), diff_id, where, limits)
        else:
            with ReadAhead(stream, writer.write) as ahead:
                found, form = _prove(ahead, diff_id, where, limits)
        if form not in _MEDIA_TYPES:
            raise SourceFault(f"{where}: a layer compressed with {form} is not supported", "use gzip or zstd")
        try:
            digest, size = writer.commit(None if descriptor is None else descriptor.digest)
        except DigestMismatch as error:
            raise SourceFault(f"{where} is damaged: {error.message}") from error
    return Layer(found, descriptor or Descriptor(_MEDIA_TYPES[form], digest, size))


def _open(files: Files, name: str, size: int | None) -> Part:
    part = files.open(name)
    if part is None:
        raise SourceFault(f"{files.where}: {name} is missing")
    if size is not None and part.size != size:
        raise SourceFault(f"{files.where}: {name} has {part.size} bytes, not {size}")
    return part


def _prove(
    stream: Readable,
    diff_id: Digest | None,
    where: str,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> tuple[Digest, str]:
    """Read all of a layer; SourceFault where its plain bytes are not those of diff_id. Their digest, and its form."""
    hashed = hashlib.sha256()
    try:
        plain = open_plain(stream, limit=limits.size, ratio=limits.ratio, grace=limits.grace)
        while data := plain.read(_CHUNK):
            hashed.update(data)
        while stream.read(_CHUNK):
            pass
    except (DigestMismatch, TransportFault, RegistryFault, Canceled):
        raise
    except GrowthFault as error:
        raise SourceFault(f"{where} is too large: {error.message}", HINT) from error
    except Fault as error:
        raise SourceFault(f"{where}: {error.message}", error.hint) from error
    found = Digest(hashed.hexdigest())
    if diff_id not in (None, found):
        raise SourceFault(f"{where} is not the layer {diff_id} that the config names, but {found}")
    return found, plain.form


class _Tee:
    """What is read is written, too."""

    def __init__(self, stream: Readable, writer: BlobWriter) -> None:
        self._stream, self._writer = stream, writer

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if data:
            self._writer.write(data)
        return data
