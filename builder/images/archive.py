"""Reading an image out of one file: what `docker save` wrote, in its old and new forms, or an OCI layout as a tar.

manifest.json is that of Docker's image spec v1.2 ("Combined Image JSON + Filesystem Changeset Format"). Where an
archive is both, the OCI half is read, since it has the manifest that the image was pushed or built with.
"""

from __future__ import annotations

import os

import msgspec

from builder.errors import ImageFault, SourceFault
from builder.images.files import Files, TarFiles, read_document
from builder.images.image import Image
from builder.images.intake import take_layer
from builder.images.layout import import_from
from builder.images.layoutfile import INDEX_FILE, LAYOUT_FILE
from builder.images.layoutload import Loaded, import_all, lacking
from builder.images.oldarchive import import_repositories
from builder.oci.config import parse_config
from builder.oci.descriptor import OCI_CONFIG, OCI_MANIFEST, Descriptor
from builder.oci.manifest import Manifest, encode
from builder.oci.match import same
from builder.oci.platform import Platform
from cache.blobs import BlobStore
from cache.digest import Digest

_LAYERS = 10_000


class _Saved(msgspec.Struct, frozen=True):
    config: str = msgspec.field(name="Config")
    layers: list[str] | None = msgspec.field(name="Layers", default=None)
    names: list[str] | None = msgspec.field(name="RepoTags", default=None)


def import_archive(path: str, blobs: BlobStore, platform: Platform, selector: str = "") -> Descriptor:
    """Copy the image in the archive `path` into the store; returns its manifest's descriptor.

    selector: as for import_layout, or a name that the image was saved under. Raises SourceFault, ImageFault.
    """
    scratch = os.path.dirname(blobs.path(Digest.of(b"")))
    with TarFiles(path, scratch) as files:
        if files.open(LAYOUT_FILE) is not None and files.open(INDEX_FILE) is not None:
            return import_from(files, selector, blobs, platform)
        return _import_saved(files, selector, blobs)


def load_archive(path: str, blobs: BlobStore, platforms: tuple[Platform, ...] = (), *, where: str = "") -> list[Loaded]:
    """Copy all images and indexes of the archive into the store; each with the names that it has there.

    The names are not yet given to it. platforms: as for import_all. where: the archive in messages.
    """
    scratch = os.path.dirname(blobs.path(Digest.of(b"")))
    with TarFiles(path, scratch, where) as files:
        if files.open(LAYOUT_FILE) is not None and files.open(INDEX_FILE) is not None:
            return import_all(files, blobs, platforms)
        if files.open("manifest.json") is None and files.open("repositories") is not None:
            loaded = import_repositories(files, blobs)
        else:
            loaded = [(_take_saved(files, saved, blobs), tuple(saved.names or ())) for saved in _entries(files)]
        for descriptor, names in loaded:
            for wanted in platforms:
                if descriptor.platform is None or not same(descriptor.platform, wanted):
                    raise lacking(files, list(names), wanted)
        return loaded


def _import_saved(files: Files, selector: str, blobs: BlobStore) -> Descriptor:
    return _take_saved(files, _choose(files, selector), blobs)


def _take_saved(files: Files, saved: _Saved, blobs: BlobStore) -> Descriptor:
    config_raw = read_document(files, saved.config)
    if config_raw is None:
        raise SourceFault(f"{files.where}: {saved.config} is missing")
    config = parse_config(config_raw)
    names = saved.layers or []
    if len(names) != len(config.diff_ids) or len(names) > _LAYERS:
        raise ImageFault(
            f"{files.where}: manifest.json has {len(names)} layers, the config names {len(config.diff_ids)}"
        )
    layers = [take_layer(files, name, blobs, d) for name, d in zip(names, config.diff_ids, strict=True)]
    digest, size = blobs.put(config_raw)
    manifest = Manifest(Descriptor(OCI_CONFIG, digest, size), tuple(layer.blob for layer in layers))
    raw = encode(manifest)
    digest, size = blobs.put(raw)
    image = Image(config, config_raw, manifest, raw, Descriptor(OCI_MANIFEST, digest, size, config.platform))
    return image.descriptor


def _entries(files: Files) -> list[_Saved]:
    raw = read_document(files, "manifest.json")
    if raw is None:
        raise SourceFault(
            f"{files.where} is not an image archive: neither manifest.json nor oci-layout is in it",
            "make one with docker save, or with -o type=docker or type=oci",
        )
    try:
        return msgspec.json.decode(raw, type=list[_Saved])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SourceFault(f"{files.where}: manifest.json is malformed: {error}") from error


def _choose(files: Files, selector: str) -> _Saved:
    entries = _entries(files)
    found = [e for e in entries if not selector or selector in (e.names or ())]
    if len({e.config for e in found}) != 1:
        names = ", ".join(sorted({n for e in entries for n in e.names or ()})) or "none"
        problem = "holds several images" if found else f"does not hold an image {selector!r}" if entries else "is empty"
        raise SourceFault(f"{files.where} {problem}", f"names in it: {names:.500}")
    return found[0]
