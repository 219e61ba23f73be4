"""StatIndex: what the files of one folder hashed to, by (inode, size, mtime, ctime), so that they are not read again.

A file changed so shortly before it was looked at that a second change could leave its times equal is not recorded
(the "racily clean" problem of git's index).
"""

from __future__ import annotations

import os

import msgspec

from cache.digest import Digest
from cache.wholefile import replace_file

_VERSION = 1
_FINE = 20_000_000  # ns: kernel time stamps advance once a timer tick, at most 10 ms
_COARSE = 2_000_000_000  # ns: file systems that keep whole seconds (or two of them)

Known = tuple[int, int, int, int, str, tuple[tuple[bytes, bytes], ...]]
"""(inode, size, mtime in ns, ctime in ns, hex of sha256, xattrs)"""


class _File(msgspec.Struct, frozen=True, array_like=True):
    version: int
    device: int
    files: dict[bytes, Known]


class StatIndex:
    """The index of one folder, `device` being its st_dev. Loaded when first asked, written by save() if it changed."""

    def __init__(self, path: str, device: int, now: int) -> None:
        self._path = path
        self._device = device
        self._now = now
        self._old: dict[bytes, Known] = {}
        self._new: dict[bytes, Known] = {}
        self._changed = False
        try:
            with open(path, "rb") as file:
                loaded = msgspec.msgpack.decode(file.read(), type=_File)
            if (loaded.version, loaded.device) == (_VERSION, device):
                self._old = loaded.files
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            pass  # an index that is not there or not readable costs a second reading, nothing else

    def get(self, path: bytes, stat: os.stat_result) -> Known | None:
        """What was known of the file, if nothing about it has changed."""
        known = self._old.get(path)
        if (
            known is not None
            and known[0] == stat.st_ino
            and known[1] == stat.st_size
            and known[2] == stat.st_mtime_ns
            and known[3] == stat.st_ctime_ns
            and stat.st_dev == self._device
        ):
            return known
        return None

    def put(self, path: bytes, stat: os.stat_result, digest: str, xattrs: tuple[tuple[bytes, bytes], ...]) -> None:
        """Record a file that has just been read; stat was taken before the reading."""
        latest = max(stat.st_mtime_ns, stat.st_ctime_ns)
        margin = _COARSE if stat.st_ctime_ns % 1_000_000_000 == 0 else _FINE
        if stat.st_dev == self._device and latest + margin < self._now:
            Digest(digest)
            self._new[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, digest, xattrs)
            self._changed = True

    def save(self, tmp: str) -> None:
        """Write the index; paths that were not asked for stay as they were. tmp: begin of a temp file's name."""
        if not self._changed:
            return
        data = msgspec.msgpack.encode(_File(_VERSION, self._device, {**self._old, **self._new}))
        replace_file(self._path, data, 0o600, tmp)
        self._changed = False
