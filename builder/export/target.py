"""Target: the one file, or the standard output, that an exporter writes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from builder.errors import OutputFault
from cache.wholefile import is_special, replacing


class Sink(Protocol):
    """Takes the bytes of an output in order, all of each call. OSError, OutputFault."""

    def write(self, data: bytes | memoryview, /) -> object: ...

    def fileno(self) -> int:
        """Where the kernel may write to directly, -1 for nowhere."""
        ...


class Target:
    """dest: path, or "-" for `stdout`, a file descriptor. kind: the exporter's name, for messages."""

    def __init__(self, dest: str, kind: str, stdout: int = 1) -> None:
        self.dest, self._kind, self._stdout = dest, kind, stdout

    def check(self) -> None:
        """OutputFault if it is a console, a folder, or in a folder that is missing or cannot be written."""
        if self.dest == "-":
            if os.isatty(self._stdout):
                raise OutputFault(
                    f"dest file is required for {self._kind} exporter. refusing to write to console",
                    "give dest=FILE, or send the standard output to a file or program",
                )
            return
        if not self.dest:
            raise OutputFault(f"dest is required for {self._kind} exporter", "give dest=FILE")
        if os.path.isdir(self.dest):
            raise OutputFault(f"destination file {self.dest} is a directory", "give the name of a file in it")
        if is_special(self.dest):
            if not os.access(self.dest, os.W_OK):
                raise OutputFault(f"cannot write {self.dest}: permission denied")
            return
        check_folder(os.path.dirname(self.dest) or ".", self.dest)

    @contextmanager
    def open(self) -> Iterator[Sink]:
        """The open output. A file takes its name when the block ends well and is fully on disk; else it vanishes."""
        self.check()
        if self.dest == "-":
            with _faults("standard output"), open(self._stdout, "wb", buffering=0, closefd=False) as out:
                yield Whole(out.fileno())
            return
        with _faults(self.dest), replacing(self.dest) as fd:
            yield Whole(fd)


class Whole:
    """write() of everything, straight to a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes | memoryview, /) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def fileno(self) -> int:
        return self._fd


def check_folder(path: str, dest: str) -> None:
    """OutputFault unless `path` is a folder that we may write; dest: what it is wanted for."""
    if not os.path.isdir(path):
        problem = "is not a directory" if os.path.lexists(path) else "does not exist"
        raise OutputFault(f"cannot write {dest}: folder {path} {problem}", f"make it with: mkdir -p {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        raise OutputFault(f"cannot write {dest}: folder {path} is not writable", "choose another folder for dest=")


@contextmanager
def _faults(dest: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFault(f"cannot write {dest}: {error.strerror}") from error
