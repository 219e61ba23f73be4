"""Store: the folder that holds everything lapstrake keeps, opened and checked.

ROOT/            0700, owned by its user
  oci-layout index.json blobs/sha256/<hex>     together an OCI image layout (builder.images.store writes the first two)
  index.db       results and memos (cache.index)
  stats/<hex>    what was known of a context's files (cache.stats)
  tmp/           files being written
  running/<hex>  locked while a step with this key is performed (cache.keylocks)
  snapshots/     trees on disk, snapshots.db which is which (builder.snapshot)
  seccomp-<hex>  the compiled filter of RUN steps (builder.sandbox)
  ballast        given up when the disk is full, so that there is room to delete something
  leases         locks of what running commands use (cache.leases); index.lock: flock, for index.json
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import CacheFault
from cache.index import Index
from cache.keylocks import is_named, lock_now
from cache.leases import Leases
from cache.wholefile import temp_name

BALLAST = 256 << 10  # bytes: enough for sqlite to open its files and delete some rows
LEASES = "leases"  # name of their file in a store
_NEW = 60  # seconds within which a file that is not locked may be about to be


class Store:
    """root: absolute path. blobs, index: its parts. Opening makes what is missing; raises CacheFault, StoreTooNew."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        _prepare(self.root)
        self.blobs = BlobStore(self.root)
        self.index = Index(os.path.join(self.root, "index.db"))
        self.leases = Leases(os.path.join(self.root, LEASES))

    def path(self, *names: str) -> str:
        return os.path.join(self.root, *names)

    def close(self) -> None:
        self.blobs.close()
        self.index.close()

    def load_ballast(self) -> None:
        """See to it that there is some, if the disk has room for it."""
        path = self.path("ballast")
        if os.path.exists(path):
            return
        with suppress(OSError):
            temp = temp_name(self.path("tmp", "ballast-"))
            fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, BALLAST)
                os.rename(temp, path)
            except OSError:
                os.unlink(temp)
            finally:
                os.close(fd)

    def tidy(self) -> None:
        """Delete what killed processes left in `tmp/` and `running/`: what nobody has locked and is not quite new."""
        for path in (
            self.path(folder, name) for folder in ("tmp", "running") for name in os.listdir(self.path(folder))
        ):
            with suppress(OSError), _opened(path) as fd:
                if time.time() - os.fstat(fd).st_mtime > _NEW and lock_now(fd) and is_named(fd, path):
                    if os.path.isdir(path):
                        import shutil

                        shutil.rmtree(path)
                    else:
                        os.unlink(path)

    @contextmanager
    def using(self) -> Iterator[None]:
        """While the block lasts, no blob that was found, made or asked for in it is deleted by others."""
        if self.blobs.leases is not None:
            yield  # an outer block holds on
            return
        self.blobs.leases = self.leases
        try:
            yield
        finally:
            self.blobs.leases = None
            self.leases.close()

    @contextmanager
    def alone(self, things: Iterable[Digest]) -> Iterator[set[Digest]]:
        """Those of the things that nobody uses, this process included; they are the caller's until the block ends.

        Not to be asked while this process uses the store: it would wait for itself.
        """
        own = Leases(self.leases.path)
        try:
            with own.alone(things) as got:
                yield got
        finally:
            own.close()


def drop_ballast(root: str) -> None:
    """Before a store is opened to delete something: give its ballast up if the disk has no room otherwise."""
    with suppress(OSError):
        status = os.statvfs(root)
        if status.f_bavail * status.f_frsize < BALLAST:
            os.unlink(os.path.join(root, "ballast"))


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def _prepare(root: str) -> None:
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        owner = os.stat(root).st_uid
        for name in ("blobs/sha256", "tmp", "running", "stats", "snapshots") if owner == os.geteuid() else ():
            if not os.path.isdir(f"{root}/{name}"):
                os.makedirs(f"{root}/{name}", mode=0o700, exist_ok=True)
    except OSError as error:
        raise CacheFault(f"the store {root} cannot be used: {error.strerror}", "choose a folder with --root") from error
    if owner != os.geteuid():
        raise CacheFault(f"the store {root} belongs to uid {owner}, not to you", "choose a folder with --root")
