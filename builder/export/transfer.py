"""Copying a blob out of the store, its digest checked on the way."""

from __future__ import annotations

import os
from collections.abc import Container

from builder.errors import ImageFault
from builder.export.content import File
from builder.export.target import Sink
from cache.blobs import BlobStore
from cache.digest import Digest

_CHUNK = 1 << 20


class Transfer:
    """proven: digests of blobs that this very process hashed when it wrote them; they are copied by the kernel."""

    def __init__(self, blobs: BlobStore, proven: Container[Digest] = frozenset()) -> None:
        self._blobs, self._proven = blobs, proven

    def copy(self, file: File, sink: Sink) -> None:
        """Write all bytes of a File; raises DamagedBlob where they are not what it names."""
        if file.data is not None:
            sink.write(file.data)
            return
        assert file.digest is not None
        if not self._blobs.has(file.digest, file.size):
            raise ImageFault(
                f"blob {file.digest} of {file.size} bytes is not in the store",
                "build again with --no-cache: what is missing is made anew",
            )
        if file.digest in self._proven:
            _by_kernel(self._blobs.path(file.digest), file.size, sink)
            return
        with self._blobs.open(file.digest) as reader:
            while data := reader.read(_CHUNK):
                sink.write(data)


def _by_kernel(path: str, size: int, sink: Sink) -> None:
    """sendfile(2), which takes any kind of output and copies inside the kernel."""
    out = sink.fileno()
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
