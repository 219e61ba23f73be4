"""Copying a blob out of the store, its digest checked on the way."""

from __future__ import annotations

import os

from builder.errors import ImageFault
from builder.export.content import File
from builder.export.target import Sink
from cache.blobs import BlobStore

_CHUNK = 1 << 20


class Transfer:
    """What this very process hashed when it wrote it is copied by the kernel, all else is hashed again."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def copy(self, file: File, sink: Sink) -> None:
        """Write all bytes of a File; raises DamagedBlob where they are not what it names."""
        if file.data is not None:
            sink.write(file.data)
            return
        assert file.digest is not None
        if not self._blobs.obtain(file.digest, file.size):
            raise ImageFault(
                f"blob {file.digest} of {file.size} bytes is not in the store",
                "build again with --no-cache: what is missing is made anew",
            )
        if file.digest in self._blobs.written and (out := sink.fileno()) >= 0:
            _by_kernel(self._blobs.path(file.digest), file.size, out)
            return
        with self._blobs.open(file.digest) as reader:
            while data := reader.read(_CHUNK):
                sink.write(data)


def _by_kernel(path: str, size: int, out: int) -> None:
    """sendfile(2), which takes any kind of output and copies inside the kernel."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        left = size
        while left:
            sent = os.sendfile(out, source, size - left, min(left, 1 << 30))
            if not sent:
                raise ImageFault(f"{path} is shorter than the {size} bytes that it should have")
            left -= sent
    finally:
        os.close(source)
