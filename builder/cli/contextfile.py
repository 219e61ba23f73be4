"""A file of a context that is not trusted: links lead nowhere but into its folder, and no pipe is waited for."""

from __future__ import annotations

import errno
import os
import stat


def read_beneath(folder: str, name: str, limit: int) -> bytes:
    """At most limit bytes of a plain file, links followed inside. Raises OSError, also for what is no plain file."""
    fd = _opened(folder, name)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "is no plain file", name)
        with open(fd, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(fd)


def _opened(folder: str, name: str) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if "/" not in name:
        try:
            return os.open(os.path.join(folder, name), flags | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
    from builder.sandbox.inroot import InRoot

    root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = InRoot(root).found(name)
    finally:
        os.close(root)
    try:
        return os.open(f"/proc/self/fd/{found}", flags)
    finally:
        os.close(found)
