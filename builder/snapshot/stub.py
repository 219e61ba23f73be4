"""The stub: mount points that a sandbox needs beneath every root and that belong to no layer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

STUB = "stub"


def ensure_stub(base: str, make_stub: Callable[[str], None]) -> str:
    """The path of the stub folder in `base`; made once, whole or not at all, whoever comes first."""
    path = os.path.join(base, STUB)
    if os.path.isdir(path):
        return path
    temp = tempfile.mkdtemp(prefix=".stub-", dir=base)
    make_stub(temp)
    os.chmod(temp, 0o755)
    try:
        os.rename(temp, path)
    except OSError:
        if not os.path.isdir(path):
            raise
        from builder.layer.remove import remove

        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(fd, os.fsencode(os.path.basename(temp)))
        finally:
            os.close(fd)
    return path
