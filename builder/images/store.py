"""ImageStore: the names of the images in the store, kept as the index.json of an OCI image layout (image-layout.md).

ROOT is such a layout, so `skopeo inspect oci:ROOT:app:1` reads it. One index entry is one name of one image: its
annotations are org.opencontainers.image.ref.name (`app:1`), io.containerd.image.name (`docker.io/library/app:1`) and
dev.lapstrake.created, when it was tagged. An image that lost its last name keeps an entry without the first two.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import msgspec

from builder.errors import ImageFault
from builder.images.image import Image, parse
from builder.images.layoutfile import CREATED, IMAGE_NAME, INDEX_FILE, LAYOUT, LAYOUT_FILE, REF_NAME
from builder.images.naming import StoredImage, by_name, names_it, parsed, shown
from builder.images.rebuild import found_images
from builder.images.uses import is_used
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import Index, encode, read_index, read_manifest
from builder.oci.match import best
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest
from cache.errors import CacheFault, Fault
from cache.filelock import locked
from cache.wholefile import replace_file

_BACKUP = "index.backup.json"
_HEX = frozenset("0123456789abcdef")
_Entries = list[Descriptor]

__all__ = ["ImageStore", "StoredImage"]


class ImageStore:
    """rebuilt: what was done about a damaged index, for a person to read; "" if nothing was."""

    def __init__(self, root: str, blobs: BlobStore) -> None:
        self._root = root
        self._blobs = blobs
        self.rebuilt = ""
        if not os.path.exists(self._path(LAYOUT_FILE)) or not os.path.exists(self._path(INDEX_FILE)):
            with self._locked():
                self._write(LAYOUT_FILE, LAYOUT)
                self._read()

    def list(self) -> tuple[StoredImage, ...]:
        """All images, in the order of their digests."""
        entries: dict[Digest, list[Descriptor]] = {}
        for entry in self._entries():
            entries.setdefault(entry.digest, []).append(entry)
        return tuple(_stored(entries[digest]) for digest in sorted(entries))

    def resolve(self, text: str) -> StoredImage | None:
        """By name, `name@sha256:…`, or the (start of an) image id or manifest digest. A name goes before an id."""
        images = self.list()
        named = by_name(images, text)
        if named is not None:
            return named
        reference = parsed(text)
        if reference is not None and reference.digest is not None:  # pulled by its digest, it has no name
            return next((i for i in images if i.descriptor.digest == reference.digest and not i.names), None)
        digits = text.removeprefix("sha256:")
        if not digits or set(digits) - _HEX:
            return None
        found = [i for i in images if i.descriptor.digest.hex.startswith(digits) or self._has_id(i, digits)]
        if len(found) > 1:
            raise ImageFault(f"multiple images found with provided prefix: {digits}", "give more digits")
        return found[0] if found else None

    def load(self, descriptor: Descriptor, platform: Platform | None = None) -> Image:
        """Read an image's documents, checked by digest. An index is followed to platform, by default this machine's."""
        raw = self._blobs.read(descriptor.digest, limit=DOCUMENT_LIMIT)
        if descriptor.media_type in INDEXES:
            wanted = platform or host()
            entries = [d for d in read_index(raw).manifests if d.media_type in MANIFESTS]
            fitting = best(entries, wanted)
            if not fitting:
                had = ", ".join(dict.fromkeys(str(d.platform) for d in entries if _is_known(d.platform))) or "none"
                problem = f"image {descriptor.digest}: no match for platform {wanted} in manifest: not found"
                raise ImageFault(problem, f"platforms in it: {had:.500}")
            return self.load(fitting[0], wanted)
        config = read_manifest(raw).config
        return parse(raw, self._blobs.read(config.digest, limit=DOCUMENT_LIMIT), descriptor)

    def tag(self, reference: Reference, manifest: Descriptor, created: str) -> None:
        """Give a name to an image that is in the store; the name leaves the image that had it.

        A name without a tag has the image's own digest.
        """
        if not self._blobs.has(manifest.digest, manifest.size):
            raise ImageFault(f"cannot tag {reference.familiar}: manifest {manifest.digest} is not in the store")
        name = _listed(reference, manifest)
        with self._locked():
            entries = _unnamed(self._read(), name.familiar)
            entries = [e for e in entries if e.digest != manifest.digest or REF_NAME in e.annotations]
            annotations = {REF_NAME: name.familiar, IMAGE_NAME: str(name), CREATED: created}
            self._save([*entries, _entry(manifest, annotations)])

    def keep(self, manifest: Descriptor, created: str) -> None:
        """List an image without a name, if it has none yet."""
        with self._locked():
            entries = self._read()
            if all(e.digest != manifest.digest for e in entries):
                self._save([*entries, _entry(manifest, {CREATED: created})])

    def remove(self, text: str, force: bool = False) -> tuple[str, ...]:
        """Take a name away, or an image by its id; returns lines as `docker rmi` prints them. Blobs stay for prune.

        ImageFault where there is no such image, or without force: an id of several names, the last name of one in use.
        """
        image = self.resolve(text)
        if image is None:
            raise ImageFault(f"No such image: {shown(text)}")
        gone = [n for n in image.names if names_it(n, text)] or list(image.names)
        if by_name((image,), text) is None and len(image.names) > 1 and not force:
            raise ImageFault(
                f"unable to delete {text} (must be forced) - image is referenced in multiple repositories",
                "remove its names one by one, or use --force",
            )
        if len(gone) == len(image.names) and not force and is_used(self._root, image.descriptor.digest):
            raise ImageFault(
                f"conflict: unable to remove {text} (must be forced) - a running lapstrake run uses the image",
                "wait until it has ended, or use --force",
            )
        lines = [f"Untagged: {name}" for name in gone]
        with self._locked():
            entries = [
                e
                for e in self._read()
                if e.digest != image.descriptor.digest or e.annotations.get(REF_NAME, "") not in ("", *gone)
            ]
            self._save(entries)
        if all(e.digest != image.descriptor.digest for e in entries):
            lines.append(f"Deleted: {self.id(image)}")
        return tuple(lines)

    def forget(self, digests: Collection[Digest]) -> None:
        """Drop the entries without a name that list these manifests or indexes."""
        if digests:
            with self._locked():
                self._save([e for e in self._read() if REF_NAME in e.annotations or e.digest not in digests])

    def id(self, image: StoredImage) -> Digest:
        """The image id: its config's digest, or the digest that it is listed by: an index, or what cannot be read."""
        if image.descriptor.media_type in INDEXES:
            return image.descriptor.digest
        try:
            return self.load(image.descriptor).id
        except Fault:
            return image.descriptor.digest

    def members(self, descriptor: Descriptor) -> tuple[Image, ...]:
        """The images of an index that are in the store, in its order; of a manifest, itself. Raises Fault."""
        if descriptor.media_type not in INDEXES:
            return (self.load(descriptor),)
        index = read_index(self._blobs.read(descriptor.digest, limit=DOCUMENT_LIMIT))
        here = [d for d in index.manifests if d.media_type in MANIFESTS and self._blobs.has(d.digest, d.size)]
        return tuple(self.load(d) for d in here)

    def size(self, descriptor: Descriptor) -> int:
        """Bytes of all that an image or index is stored as, what its members share counted once. Raises Fault."""
        sizes = {descriptor.digest: descriptor.size}
        for image in self.members(descriptor):
            parts = (image.descriptor, image.manifest.config, *image.manifest.layers)
            sizes |= {part.digest: part.size for part in parts}
        return sum(sizes.values())

    def _has_id(self, image: StoredImage, digits: str) -> bool:
        return self.id(image).hex.startswith(digits)

    def _path(self, name: str) -> str:
        return os.path.join(self._root, name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self._path("index.lock")):
            yield

    def _entries(self) -> _Entries:
        """What index.json holds; a damaged one is set right first."""
        try:
            return _load(self._path(INDEX_FILE))
        except (Fault, OSError):
            with self._locked():
                return self._read()

    def _read(self) -> _Entries:
        """With the lock held: the entries, from index.json or from what is left if that is damaged or gone."""
        path, backup = self._path(INDEX_FILE), self._path(_BACKUP)
        damage = ""
        try:
            return _load(path)
        except FileNotFoundError:
            if not os.path.exists(backup):
                self._save([])
                return []
            damage = "was missing"
        except Fault as error:
            aside = _aside(path)
            os.rename(path, aside)
            damage = f"was damaged ({error.message}); it is kept as {aside}"
        try:
            entries, how = _load(backup), "its names were restored from a copy"
        except (Fault, OSError):
            entries = found_images(self._blobs)
            how = f"{len(entries)} images were found again, without their names"
        self._save(entries)
        self.rebuilt = f"{path} {damage}; {how}"
        return entries

    def _save(self, entries: _Entries) -> None:
        entries = sorted(entries, key=lambda e: (e.annotations.get(REF_NAME, ""), e.digest.hex))
        raw = encode(Index(tuple(entries)))
        self._blobs.settle()
        self._write(INDEX_FILE, raw)
        self._write(_BACKUP, raw)

    def _write(self, name: str, data: bytes) -> None:
        temp = self._path(f"tmp/{name}-")
        os.makedirs(os.path.dirname(temp), mode=0o700, exist_ok=True)
        try:
            replace_file(self._path(name), data, 0o644, temp)
        except OSError as error:
            raise CacheFault(f"cannot write {self._path(name)}: {error.strerror}") from error


def _is_known(platform: Platform | None) -> bool:
    return platform is not None and platform.os != "unknown"


def _load(path: str) -> list[Descriptor]:
    try:
        with open(path, "rb") as file:
            raw = file.read(DOCUMENT_LIMIT * 4 + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CacheFault(f"cannot read {path}: {error.strerror}") from error
    return list(read_index(raw).manifests)


def _aside(path: str) -> str:
    number = 1
    while os.path.exists(f"{path}.damaged-{number}"):
        number += 1
    return f"{path}.damaged-{number}"


def _entry(manifest: Descriptor, annotations: dict[str, str]) -> Descriptor:
    return Descriptor(
        manifest.media_type, manifest.digest, manifest.size, platform=manifest.platform, annotations=annotations
    )


def _stored(entries: list[Descriptor]) -> StoredImage:
    names = sorted(e.annotations[REF_NAME] for e in entries if REF_NAME in e.annotations)
    created = max(e.annotations.get(CREATED, "") for e in entries)
    plain = _entry(entries[0], {})
    return StoredImage(plain, tuple(names), created)


def _unnamed(entries: list[Descriptor], name: str) -> list[Descriptor]:
    """The entries without that name; the image that had it stays, nameless if it was its last one."""
    others = [e for e in entries if e.annotations.get(REF_NAME) != name]
    for entry in entries:
        if entry.annotations.get(REF_NAME) == name and all(o.digest != entry.digest for o in others):
            others.append(_entry(entry, {CREATED: entry.annotations.get(CREATED, "")}))
    return others


def _listed(reference: Reference, manifest: Descriptor) -> Reference:
    if not reference.tag and reference.digest == manifest.digest:
        return reference
    if not reference.tag:
        raise ImageFault(f"{reference.familiar} is not a name with a tag", "want NAME[:TAG]")
    return msgspec.structs.replace(reference, digest=None)
