"""Files that are there whole or not at all: written beside their name, then renamed (rename(2))."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def temp_name(prefix: str) -> str:
    """A name that no other process has or had: what a killed one left behind is never in the way."""
    return f"{prefix}{os.urandom(8).hex()}"


@contextmanager
def replacing(path: str, mode: int = 0o666, temp: str = "", *, durable: bool = True) -> Iterator[int]:
    """A new file's descriptor; it takes the name `path`, synced, when the block ends well, and else vanishes.

    temp: begin of the name it has until then, on the same file system; beside `path` if "". mode: less the umask.
    What `path` names may be a device or pipe (/dev/stdout, /dev/null): that is written to as it is. OSError.
    durable: False for what may be lost, or be there in part, after a power loss.
    """
    if is_special(path):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)
        return
    final = os.path.realpath(path)  # a link to a file keeps being one
    name = temp_name(temp or f"{final}.tmp-")
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        yield fd
        if durable:
            os.fsync(fd)
        os.rename(name, final)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    finally:
        os.close(fd)


def replace_file(path: str, data: bytes, mode: int = 0o666, temp: str = "", *, durable: bool = True) -> None:
    """The same for bytes that are in memory."""
    with replacing(path, mode, temp, durable=durable) as fd:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]


def is_special(path: str) -> bool:
    """Whether it is there and no plain file: a device, a pipe, a folder."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
