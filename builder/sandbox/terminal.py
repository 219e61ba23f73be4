"""A terminal of a sandbox's own. Standard library only: init.py imports it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from builder.sandbox import linux
from builder.sandbox.inroot import InRoot
from builder.sandbox.linux import at


def open_terminal(inroot: InRoot) -> tuple[int, int]:
    """A new terminal of the root's own devpts (pts(4)), also shown as /dev/console: our side of it, and its peer."""
    ptmx, dev = inroot.existing("dev/pts/ptmx"), inroot.existing("dev")
    if ptmx is None or dev is None:
        raise OSError(errno.ENOENT, "is not there, since something else is mounted on /dev", "/dev/pts/ptmx")
    ours = os.open(at(ptmx), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    theirs = peer(ours)
    os.close(os.open("console", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o620, dir_fd=dev))
    linux.mount(at(theirs), f"{at(dev)}/console", flags=linux.MS_BIND)
    return ours, theirs


def peer(ours: int) -> int:
    """The other side of a terminal (ioctl_tty(2)), found without its name."""
    fcntl.ioctl(ours, linux.TIOCSPTLCK, struct.pack("i", 0))
    return fcntl.ioctl(ours, linux.TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
