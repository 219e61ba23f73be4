"""Bounds that the user's environment sets: LAPSTRAKE_DOWNLOAD_LIMIT, LAPSTRAKE_UNPACK_LIMIT."""

from __future__ import annotations

from collections.abc import Mapping

from builder.layer.limits import Limits
from cache.errors import Fault


def byte_limit(env: Mapping[str, str], name: str) -> int | None:
    """The number of bytes that a variable gives, None if it is not set; raises Fault if it is no number."""
    text = env.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Fault(f"invalid {name}: {text}", "give a number of bytes")
    return int(text)


def unpack_limits(env: Mapping[str, str]) -> Limits:
    """Of each archive or layer that is unpacked."""
    size = byte_limit(env, "LAPSTRAKE_UNPACK_LIMIT")
    return Limits() if size is None else Limits.of_size(size)
