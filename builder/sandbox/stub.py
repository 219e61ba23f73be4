"""The stub: the lowest layer of every overlay that a step runs in, which has the mount points that images lack.

It belongs to no image: what is only mounted on leaves no mark in the upper folder, and so none in a layer.
"""

from __future__ import annotations

import os

_FOLDERS = ("dev", "etc", "proc", "sys")
_FILES = ("etc/hosts", "etc/resolv.conf")


def make_stub(path: str) -> None:
    """Fill an empty folder."""
    for name in _FOLDERS:
        os.mkdir(os.path.join(path, name))
        os.chmod(os.path.join(path, name), 0o755)
    for name in _FILES:
        with open(os.path.join(path, name), "xb") as file:
            os.fchmod(file.fileno(), 0o644)
