"""OpenDirs: folders beneath a root descriptor, opened component by component and never through a link."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = 64  # descriptors held at once; a tree may be deeper than the process may have files open
_SHED = -1


class OpenDirs:
    """The chain of open folders that leads to the one asked for last. One thread at a time.

    `fd(path)` is valid until the next call. Paths are relative to the root, b"" is the root itself; the caller sees
    to it that there is no `.` or `..` among the components.
    """

    def __init__(self, root: int | bytes | str) -> None:
        """root: a descriptor, which stays the caller's, or a path, which may itself be a link."""
        if isinstance(root, int):
            self._fds = [os.dup(root)]
        else:
            self._fds = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        self._names: list[bytes] = []
        self._path: bytes = b""

    def fd(self, path: bytes) -> int:
        """The descriptor of a folder; raises OSError (ENOENT, ENOTDIR, ELOOP) as openat does."""
        if path == self._path and len(self._fds) == len(self._names) + 1:
            return self._fds[-1]
        wanted = path.split(b"/") if path else []
        same = 0
        for have, want in zip(self._names, wanted, strict=False):
            if have != want:
                break
            same += 1
        self._cut(same)
        start = same
        while self._fds[start] == _SHED:
            start -= 1
        for depth in range(start, len(wanted)):
            self._open(depth, wanted[depth])
        self._path = path
        return self._fds[-1]

    def close(self) -> None:
        self._cut(0)
        os.close(self._fds.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut(self, depth: int) -> None:
        while len(self._fds) > depth + 1:
            fd = self._fds.pop()
            if fd != _SHED:
                os.close(fd)
        del self._names[depth:]
        self._path = b"/".join(self._names)

    def _open(self, depth: int, name: bytes) -> None:
        fd = os.open(name, _FLAGS, dir_fd=self._fds[depth])
        if depth + 1 == len(self._fds):
            self._fds.append(fd)
            self._names.append(name)
        else:
            self._fds[depth + 1] = fd
        self._path = b"/".join(self._names)
        stale = depth - _KEPT
        if stale > 0 and self._fds[stale] != _SHED:
            os.close(self._fds[stale])
            self._fds[stale] = _SHED
