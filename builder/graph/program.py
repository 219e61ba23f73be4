"""Program: what a frontend makes of its source text, and the one question it may ask on the way."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from builder.graph.graph import BuildGraph, Span
from builder.oci.config import ImageConfig
from builder.oci.platform import Platform
from cache.digest import Digest


class ResolvedImage(msgspec.Struct, frozen=True):
    """A base image, pinned. name: as shown to people; manifest: digest; config: with diff_ids and history."""

    name: str
    manifest: Digest
    config: ImageConfig


class Warning(msgspec.Struct, frozen=True):
    """A lint finding. rule: its name, as in BuildKit's list; detail: one sentence; url: its page, or ""."""

    rule: str
    message: str
    span: Span | None = None
    detail: str = ""
    url: str = ""


class Program(msgspec.Struct, frozen=True):
    """For one platform; programs of several may share one graph.

    target: the vertex whose file system is the image's, None where there is no layer at all (FROM scratch).

    steps: the vertices that make the image's own layers, bottom first; with base_layers from config.diff_ids of
    the base below them. config: folded over all instructions, its own history entries marked `own` and without a
    time, its diff_ids those of the base image. fresh: steps of the stages that --no-cache-filter names.
    """

    graph: BuildGraph
    target: Digest | None
    base: Digest | None
    steps: tuple[Digest, ...]
    config: ImageConfig
    platform: Platform
    warnings: tuple[Warning, ...] = ()
    fresh: frozenset[Digest] = frozenset()


Resolver = Callable[[str, Platform], ResolvedImage]
"""(reference as written after expansion, platform) -> the pinned image; raises SourceFault."""
