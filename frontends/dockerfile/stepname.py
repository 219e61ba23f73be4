"""How steps are called in progress: `[linux/amd64->arm64 build 2/4] RUN make` (BuildKit's prefixCommand)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from builder.oci.platform import Platform, normalise
from cache.errors import Fault


def step_prefix(title: str, done: int, total: int, place: str = "") -> str:
    """`[build  2/14] `, or nothing where the stage has no steps. place: the platform, where it is to be shown."""
    if not total:
        return ""
    return f"[{place + ' ' if place else ''}{title + ' ' if title else ''}{done:>{len(str(total))}}/{total}] "


def crossed(base: Platform, env: Mapping[str, str]) -> str:
    """`->arm64` if the TARGET* arguments that a step sees are of another platform than its own."""
    target = None
    if "TARGETPLATFORM" in env:
        try:
            target = Platform.parse(env["TARGETPLATFORM"])
        except Fault:
            target = None
    if target is None and not {"TARGETOS", "TARGETARCH", "TARGETVARIANT"} & env.keys():
        return ""
    if target is None:
        target = Platform(env.get("TARGETARCH", ""), env.get("TARGETOS", ""), env.get("TARGETVARIANT", ""))
    target = normalise(replace(target, os=target.os or base.os, architecture=target.architecture or base.architecture))
    if target.os != base.os:
        return f"->{target.full}"
    if target.architecture != base.architecture:
        return "->" + "/".join(part for part in (target.architecture, target.variant) if part)
    return ""


def upper_keyword(text: str) -> str:
    keyword, blank, rest = text.partition(" ")
    return keyword.upper() + blank + rest
