"""BlobStore: bytes by digest, laid out as `blobs/sha256/<hex>` like an OCI image layout (image-layout.md#blobs).

Order of a write, which decides what a crash leaves: bytes to `tmp/`, hashed on the way; fsync; rename to the final
name. A name under `blobs/` therefore always stands for whole bytes; a leftover in `tmp/` is garbage that prune
removes. While a command uses the store (`Store.using`), whatever digest it asks for here is held: see cache.leases.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from cache.digest import Digest
from cache.errors import CacheFault, DamagedBlob, DigestMismatch, Fault
from cache.leases import Leases
from cache.wholefile import temp_name

DOCUMENT_LIMIT = 4 << 20  # bytes of a manifest, index or config that we are willing to hold in memory


class BlobStore:
    """Blobs below `root`. Safe for many writers at once: equal bytes meet under one name."""

    def __init__(self, root: str) -> None:
        self._blobs = os.path.join(root, "blobs", "sha256")
        self._tmp = os.path.join(root, "tmp")
        self.leases: Leases | None = None
        self.written: set[Digest] = set()  # by this object: their bytes were hashed a moment ago
        self.suppliers: list[Callable[[Digest], bool]] = []  # each stores a blob that is asked for; False if it cannot
        self._lock = threading.Lock()
        self._writers: set[BlobWriter] = set()
        self._closed = False

    def path(self, digest: Digest) -> str:
        """Where the blob is, or would be."""
        return f"{self._blobs}/{digest.hex}"

    def hold(self, *digests: Digest) -> None:
        """See to it that prune leaves the blobs, there or yet to come, to the command that uses the store."""
        if self.leases is not None:
            self.leases.hold(*digests)

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is there, and of this many bytes if size is given; a stat, no read."""
        self.hold(digest)
        try:
            there = os.stat(self.path(digest)).st_size
        except OSError:
            return False
        return size is None or there == size

    def size(self, digest: Digest) -> int:
        """Bytes of a blob that is there; CacheFault if it is not."""
        self.hold(digest)
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def obtain(self, digest: Digest, size: int) -> bool:
        """Whether the blob is there with this size, if need be by having it supplied."""
        return self.has(digest, size) or (self._supplied(digest) and self.has(digest, size))

    def writer(self) -> BlobWriter:
        """A new blob; use as a context manager, it vanishes unless committed."""
        with self._lock:
            if self._closed:
                raise CacheFault("the store is closed")
            writer = BlobWriter(self._tmp, self._blobs, self.hold, self._finished)
            self._writers.add(writer)
        return writer

    def close(self) -> None:
        """Delete what threads that were left behind, after Ctrl-C, still write; they can begin nothing more."""
        with self._lock:
            self._closed = True
            for writer in self._writers:
                writer.forget()

    def _finished(self, writer: BlobWriter, digest: Digest | None) -> None:
        with self._lock:
            self._writers.discard(writer)
        if digest is not None:
            self.written.add(digest)

    def put(self, data: bytes) -> tuple[Digest, int]:
        """Store bytes that are in memory already."""
        digest = Digest.of(data)
        if not self._holds(digest, data):
            with self.writer() as writer:
                writer.write(data)
                writer.commit()
        return digest, len(data)

    def _supplied(self, digest: Digest) -> bool:
        return any(supply(digest) for supply in self.suppliers)

    def settle(self) -> None:
        """Make the names last of what this object wrote, which a power loss could take away before a name given later.

        For those who are about to say that something is here and do not look again.
        """
        if self.written:
            fd = os.open(self._blobs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _holds(self, digest: Digest, data: bytes) -> bool:
        self.hold(digest)
        try:
            with open(self.path(digest), "rb") as file:
                return file.read(len(data) + 1) == data
        except OSError:
            return False

    def open(self, digest: Digest) -> BlobReader:
        """Read a blob; the reader raises DigestMismatch at its end if the bytes are not what the name says."""
        self.hold(digest)
        while True:
            try:
                return BlobReader(os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC), digest)
            except FileNotFoundError:
                if not self._supplied(digest):
                    raise _missing(digest) from None

    def verify(self, digest: Digest) -> None:
        """Read all of a blob; DamagedBlob where its bytes are not what the name says."""
        with self.open(digest) as reader:
            reader.finish()

    def read(self, digest: Digest, limit: int = DOCUMENT_LIMIT) -> bytes:
        """A whole small blob, verified; CacheFault if it is larger than limit bytes."""
        if self.size(digest) > limit:
            raise CacheFault(f"blob {digest} is larger than {limit} bytes, which a document may not be")
        with self.open(digest) as reader:
            return reader.read()

    def delete(self, digest: Digest) -> int:
        """Remove a blob; returns the bytes it had, 0 if it was not there."""
        try:
            size = os.stat(self.path(digest)).st_size
            os.unlink(self.path(digest))
        except FileNotFoundError:
            return 0
        return size

    def digests(self) -> list[Digest]:
        """All blobs, in name order; names that are no digest are left out."""
        names = sorted(os.listdir(self._blobs))
        return [Digest(name) for name in names if len(name) == 64 and not set(name) - set("0123456789abcdef")]


def _missing(digest: Digest) -> CacheFault:
    return CacheFault(f"blob {digest} is not in the store", "build again: what is missing is made anew")


class BlobWriter:
    """Hashes and counts what passes through. write() may come from one thread at a time."""

    def __init__(
        self,
        tmp: str,
        blobs: str,
        hold: Callable[[Digest], None],
        finished: Callable[[BlobWriter, Digest | None], None],
    ) -> None:
        """finished: told the blob that it has become, None if it has vanished."""
        self._blobs, self._hold = blobs, hold
        self._finished = finished
        self._temp = temp_name(f"{tmp}/blob-")
        self._fd = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)  # says to Store.tidy that it is still written
        self._hash = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.forget()
            self._finished(self, None)

    def forget(self) -> None:
        """Delete the file, which then never gets a name."""
        with suppress(FileNotFoundError):
            os.unlink(self._temp)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._size += len(data)
        return len(data)

    @property
    def digest(self) -> Digest:
        """Of what has been written so far."""
        return Digest(self._hash.copy().hexdigest())

    def commit(self, expected: Digest | None = None) -> tuple[Digest, int]:
        """Make the blob visible under its digest; returns it with its size. DigestMismatch if it is not expected."""
        digest = Digest(self._hash.hexdigest())
        if expected is not None and digest != expected:
            raise DigestMismatch(f"want {expected}, the bytes are {digest}")
        self._hold(digest)
        os.fsync(self._fd)
        os.fchmod(self._fd, 0o644)
        os.close(self._fd)
        self._fd = -1
        os.rename(self._temp, f"{self._blobs}/{digest.hex}")
        self._finished(self, digest)
        return digest, self._size


class BlobReader:
    """A blob's bytes, checked against its name when the end is reached; finish() reads what is left and checks.

    A Fault that leaves the reader's block may come from bytes that are not the blob's: they are then checked before
    anything else is said, so that damage is always called damage.
    """

    def __init__(self, fd: int, digest: Digest) -> None:
        self._fd = fd
        self._digest = digest
        self._hash = hashlib.sha256()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        try:
            if kind is not None and issubclass(kind, Fault) and not issubclass(kind, DigestMismatch):
                self.finish()
        finally:
            self.close()

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        data = os.read(self._fd, min(size, 1 << 20))
        if data or size == 0:
            self._hash.update(data)
            return data
        if not self._ended and self._hash.hexdigest() != self._digest.hex:
            raise DamagedBlob(
                f"blob {self._digest} is damaged: its bytes are sha256:{self._hash.hexdigest()}",
                self._digest.hex,
                "a build that can make it anew does; an image that came from elsewhere must be loaded again",
            )
        self._ended = True
        return b""

    def finish(self) -> None:
        """Read to the end, so that the check runs."""
        while self.read(1 << 20):
            pass

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
