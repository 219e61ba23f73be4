"""Attributes of -o, --cache-to and --cache-from: CSV of key=value, and the values that several of them have."""

from __future__ import annotations

from builder.errors import OutputFault
from builder.oci import csvfields
from builder.oci.boolean import parse_bool
from cache.errors import Fault


def fields_of(text: str) -> list[str]:
    """The fields of a line of CSV. Raises OutputFault."""
    try:
        return csvfields.fields(text)
    except Fault as error:
        raise OutputFault(f"invalid value {text}: {error.message}", error.hint) from None


def truth(values: dict[str, str], key: str, default: bool) -> bool:
    """An attribute's truth value; one without text, like `push=`, stands for true, as BuildKit has it. OutputFault."""
    text = values.get(key)
    if text is None:
        return default
    value = parse_bool(text or "true")
    if value is None:
        raise OutputFault(f"non-bool value {text!r} specified for {key}", "use true or false")
    return value


def compression(name: str) -> str:
    """The name of a codec, "" for none."""
    if name not in ("", "uncompressed", "gzip", "zstd"):
        hint = "use one of: uncompressed, gzip, zstd"
        hint = "its table of contents is for lazy pulls by one runtime; " + hint if name == "estargz" else hint
        raise OutputFault(f"unsupported layer compression type {name!r}", hint)
    return name


def level(values: dict[str, str]) -> int | None:
    """compression-level; its range is the codec's to check."""
    text = values.get("compression-level")
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise OutputFault(f"non-integer value {text!r} specified for compression-level") from None
