"""Which extended attributes are part of an image.

Kept: `security.capability` (file capabilities) and `user.*`. Left out: overlay's own marks, which say how a tree is
stored and would let an archive redirect lookups; `trusted.*`, which only some builders could read, so the same
build would give other bytes; `security.selinux`, `security.ima` and `system.*`, which belong to the machine.
"""

from __future__ import annotations

import errno
import os

CAPABILITY = b"security.capability"
_ABSENT = (errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES)


def kept(name: bytes) -> bool:
    """Whether the attribute belongs to the image."""
    return name == CAPABILITY or (name.startswith(b"user.") and not name.startswith(b"user.overlay."))


def names(target: int | bytes) -> list[bytes]:
    """Names of all attributes of a descriptor or of a path that is not followed; [] where there is no support."""
    try:
        found = os.listxattr(target, follow_symlinks=isinstance(target, int))
    except OSError as error:
        if error.errno in _ABSENT:
            return []
        raise
    return [os.fsencode(name) for name in found]


def value(target: int | bytes, name: bytes) -> bytes | None:
    """The attribute's value, or None if it is not there or not to be read."""
    try:
        return os.getxattr(target, name, follow_symlinks=isinstance(target, int))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def image_xattrs(target: int | bytes, found: list[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """The kept ones among `found`, with their values, sorted by name."""
    pairs = ((name, value(target, name)) for name in sorted(found) if kept(name))
    return tuple((name, data) for name, data in pairs if data is not None)
