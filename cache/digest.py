"""Digest: the name of bytes by their content (OCI image-spec, descriptor.md#digests)."""

from __future__ import annotations

import hashlib
import re
from typing import Self

from cache.errors import Fault

_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Digest:
    """A sha256 digest, checked when made; printed and compared as `sha256:<64 hex>`."""

    __slots__ = ("hex",)
    hex: str
    algorithm = "sha256"

    def __init__(self, hex: str) -> None:
        if not _HEX.match(hex):
            raise Fault(f"invalid digest: {hex!r} is not 64 lower-case hexadecimal digits")
        object.__setattr__(self, "hex", hex)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<hex>`; raises Fault on any other algorithm or form."""
        algorithm, colon, hex = text.partition(":")
        if not colon or algorithm != cls.algorithm:
            raise Fault(f"invalid digest {text!r}: want sha256:<64 hexadecimal digits>")
        return cls(hex)

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(hashlib.sha256(data).hexdigest())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Digest is frozen")

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    def __repr__(self) -> str:
        return f"Digest({self.hex!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and other.hex == self.hex

    def __lt__(self, other: Digest) -> bool:
        return self.hex < other.hex

    def __hash__(self) -> int:
        return hash(self.hex)

    @property
    def short(self) -> str:
        """The first 12 digits, as image ids are shown."""
        return self.hex[:12]
