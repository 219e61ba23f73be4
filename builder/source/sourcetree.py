"""SourceTree: files that come from outside and are no layer: a folder of the client, a checkout, a download."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from builder.layer.entry import Content, Entry


class SourceTree(ABC):
    """A Tree. dated: the date of its members, seconds, where that differs from one source to the next; else None."""

    dated: int | None = None

    @abstractmethod
    def lookup(self, path: bytes) -> Entry | None: ...

    @abstractmethod
    def names(self, path: bytes) -> list[bytes]: ...

    @abstractmethod
    def walk(self, path: bytes) -> Iterator[Entry]: ...

    @abstractmethod
    def content(self, path: bytes) -> Content: ...

    @abstractmethod
    def digest(self, path: bytes) -> str:
        """sha256 of a file's bytes, as hex."""

    def measured(self, path: bytes) -> str:
        """What digest() gave last for a file, if that is remembered; it may have changed since."""
        return self.digest(path)

    @abstractmethod
    def modified(self, path: bytes) -> int:
        """When a member was changed where it comes from, in seconds."""
