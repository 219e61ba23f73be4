"""Whether a cgroup for devices holds: see devicecgroup.py. Standard library only: init.py imports it."""

from __future__ import annotations

import errno
import os
import stat

from builder.sandbox import dev
from builder.sandbox.inroot import InRoot


def are_shut(inroot: InRoot) -> bool:
    """Whether the kernel forbids this process all devices but those of any container.

    Tried with numbers that no driver answers to: what is not forbidden is not there (ENXIO). null must open: else it is
    something else that forbids.
    """
    own = inroot.existing(dev.NODES)
    assert own is not None
    tried = ((stat.S_IFCHR, (1, 255)), (stat.S_IFBLK, (0, 0)), (stat.S_IFCHR, (1, 3)))
    said = [_opening(own, kind, os.makedev(*numbers)) for kind, numbers in tried]
    os.close(own)
    return said == [errno.EPERM, errno.EPERM, 0]


def _opening(folder: int, kind: int, device: int) -> int:
    """The error number of opening a node, 0 for none, -1 if it cannot be made."""
    try:
        os.mknod("tried", kind | 0o600, device, dir_fd=folder)
    except OSError:
        return -1
    try:
        os.close(os.open("tried", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder))
        return 0
    except OSError as error:
        return error.errno or -1
    finally:
        os.unlink("tried", dir_fd=folder)
