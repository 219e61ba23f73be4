"""FolderStorage: a cache in a folder of OCI image layout (image-layout.md), each tag of index.json another one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from builder.errors import NotThere, OutputFault, SourceFault
from builder.export.content import File
from builder.export.target import Target
from builder.export.transfer import Transfer
from builder.images.files import FolderFiles, read_document
from builder.images.intake import take_document, take_layer
from builder.images.layoutfile import INDEX_FILE, LAYOUT, LAYOUT_FILE, REF_NAME
from builder.layer.layer import Layer
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import Index, encode, read_index, read_manifest
from builder.oci.reference import Reference
from builder.remotecache.storage import Moved
from cache.blobs import DOCUMENT_LIMIT, BlobStore
from cache.digest import Digest
from cache.errors import Fault
from cache.wholefile import replace_file

_BLOBS = "blobs/sha256"
_INDEX_LOCK = "index.json.lock"  # as BuildKit has it
_EXPORTS_LOCK = "exports.lock"
_DEPTH = 4  # indexes within indexes


class FolderStorage:
    """tag: the entry of index.json. digest: of the manifest to read instead."""

    reference: Reference | None = None

    def __init__(self, path: str, tag: str, digest: Digest | None = None) -> None:
        self.name = path
        self._path, self._tag, self._digest = path, tag, digest
        self._held = -1

    def manifest(self) -> bytes:
        with FolderFiles(self._path) as files:
            if self._digest is not None:
                raw = read_document(files, _name(self._digest))
                if raw is None:
                    raise NotThere(f"{self._path}: digest {self._digest} unavailable")
                if Digest.of(raw) != self._digest:
                    raise SourceFault(f"{self._path}: manifest {self._digest} is damaged")
                return raw
            raw = read_document(files, INDEX_FILE)
            if raw is None:
                raise NotThere(f"{self._path}: it has no {INDEX_FILE}")
            entries = [d for d in read_index(raw).manifests if d.annotations.get(REF_NAME) == self._tag]
            if not entries:
                raise NotThere(f"{self._path}: no digest found for tag {self._tag}")
            return take_document(files, _name(entries[0].digest), entries[0], DOCUMENT_LIMIT)

    def document(self, blob: Descriptor) -> bytes:
        with FolderFiles(self._path) as files:
            return take_document(files, _name(blob.digest), blob, DOCUMENT_LIMIT)

    def fetch(self, layer: Layer, blobs: BlobStore, moved: Moved) -> None:
        with FolderFiles(self._path) as files:
            take_layer(files, _name(layer.blob.digest), blobs, layer.diff_id, layer.blob)
        moved(layer.blob.size)

    def has(self, blob: Descriptor) -> bool:
        try:
            return os.stat(self._at(_name(blob.digest))).st_size == blob.size
        except OSError:
            return False

    def mount(self, blob: Descriptor, source: Reference) -> bool:
        return False

    def send(self, blob: Descriptor, blobs: BlobStore) -> None:
        self._make()
        with Target(self._at(_name(blob.digest)), "local cache").open() as sink:
            Transfer(blobs).copy(File("", blob.size, digest=blob.digest), sink)

    def put(self, blob: Descriptor, raw: bytes) -> None:
        self._make()
        self._write(_name(blob.digest), raw)

    def publish(self, manifest: Descriptor, raw: bytes) -> None:
        self.put(manifest, raw)
        named = msgspec.structs.replace(manifest, annotations={REF_NAME: self._tag})
        with self._locked(_INDEX_LOCK):
            others = [d for d in self._index().manifests if d.annotations.get(REF_NAME) != self._tag]
            self._write(LAYOUT_FILE, LAYOUT)
            self._write(INDEX_FILE, encode(Index((*others, named))))

    def cancel(self) -> None:
        pass

    def resume(self) -> None:
        pass

    @contextmanager
    def exporting(self) -> Iterator[None]:
        """Held by everybody who writes here, so that reset() takes from nobody what he has only just found."""
        self._make()
        with self._locked(_EXPORTS_LOCK, fcntl.LOCK_SH) as self._held:
            yield

    def reset(self) -> bool:
        """Delete the blobs that no tag leads to; False, and nothing done, while others export to the folder.

        Called while exporting() is held, after publish().
        """
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._locked(_INDEX_LOCK):
                keep = {digest.hex for entry in self._index().manifests for digest in self._reach(entry, _DEPTH)}
                for name in os.listdir(self._at(_BLOBS)):
                    if name not in keep:
                        os.unlink(self._at(f"{_BLOBS}/{name}"))
                for name in os.listdir(self._path):
                    if name.startswith((f"{INDEX_FILE}.tmp-", f"{LAYOUT_FILE}.tmp-")):
                        os.unlink(self._at(name))  # of an export that was killed
        except BlockingIOError:
            return False
        return True

    def _reach(self, entry: Descriptor, depth: int) -> Iterator[Digest]:
        yield entry.digest
        if entry.media_type not in MANIFESTS | INDEXES or not depth:
            return
        raw = self.document(entry)
        if entry.media_type in INDEXES:
            for part in read_index(raw).manifests:
                yield from self._reach(part, depth - 1)
        else:
            manifest = read_manifest(raw)
            yield from (blob.digest for blob in (manifest.config, *manifest.layers))

    def _index(self) -> Index:
        try:
            with FolderFiles(self._path) as files:
                raw = read_document(files, INDEX_FILE)
            return Index() if raw is None else read_index(raw)
        except Fault as error:
            raise OutputFault(
                f"{self._path}: its {INDEX_FILE} cannot be read: {error.message}", "give another folder, or empty it"
            ) from error

    def _make(self) -> None:
        try:
            os.makedirs(self._at(_BLOBS), exist_ok=True)
        except OSError as error:
            raise OutputFault(f"cannot write {self._path}: {error.strerror}") from error

    def _write(self, name: str, raw: bytes) -> None:
        try:
            replace_file(self._at(name), raw)
        except OSError as error:
            raise OutputFault(f"cannot write {self._at(name)}: {error.strerror}") from error

    @contextmanager
    def _locked(self, name: str, how: int = fcntl.LOCK_EX) -> Iterator[int]:
        try:
            fd = os.open(self._at(name), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputFault(f"cannot write {self._at(name)}: {error.strerror}") from error
        try:
            fcntl.flock(fd, how)
            yield fd
        finally:
            os.close(fd)

    def _at(self, name: str) -> str:
        return os.path.join(self._path, name)


def _name(digest: Digest) -> str:
    return f"{_BLOBS}/{digest.hex}"
