"""Values to canonical bytes and back. The only file that knows the wire form (JSON by way of msgspec).

Canonical: object keys in sorted order, no blanks, a field that has its default is written too. The digest of a
record is a name, so a change of this form is a change of every key: bump `builder.graph.key.KEY_VERSION` with it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from cache.digest import Digest
from cache.errors import CacheFault, Fault

T = TypeVar("T")


def _to_wire(value: Any) -> Any:
    if isinstance(value, Digest):
        return str(value)
    raise AssertionError(f"no wire form for {type(value).__name__}")


def _from_wire(kind: type, value: Any) -> Any:
    if kind is Digest:
        if not isinstance(value, str):
            raise ValueError("a digest is a string")
        return Digest.parse(value)
    raise AssertionError(f"no wire form for {kind.__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_to_wire, order="sorted")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode(value: Any) -> bytes:
    """Canonical bytes of any of our values."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """Read bytes made by `encode`; raises CacheFault where they are not a `kind`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind, dec_hook=_from_wire)
    try:
        value: T = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Fault) as error:
        raise CacheFault(f"damaged record: {error}") from error
    return value


def recall(data: bytes | None, kind: type[T]) -> T | None:
    """The same for a memo, which is only ever a shortcut: None where it is not there or cannot be read."""
    try:
        return None if data is None else decode(data, kind)
    except CacheFault:
        return None


def digest(value: Any) -> Digest:
    """The digest of a value's canonical bytes: its name."""
    return Digest.of(encode(value))
