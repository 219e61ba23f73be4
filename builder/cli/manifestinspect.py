"""`lapstrake manifest inspect`: a manifest or an index, of the local store or else of a registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from builder.cli.manifestjson import detailed, indented, listed, whole
from builder.cli.opened import opened
from builder.errors import ImageFault, NotThere
from builder.images.naming import by_name
from builder.oci.config import parse_config
from builder.oci.descriptor import DOCKER_MANIFEST, INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import read_index, read_manifest
from builder.oci.reference import Reference
from cache.blobs import DOCUMENT_LIMIT

if TYPE_CHECKING:
    from builder.registry.registries import Registries
    from cache.blobs import BlobStore

_HELP = """Show a manifest, or an index of several platforms.

A name that the local image store has is looked at there, any other one in its registry. Nothing is stored.

\b
Examples:
  lapstrake manifest inspect debian:bookworm-slim
  lapstrake manifest inspect --verbose registry.example.com:5000/app:1
"""


@click.command("inspect", help=_HELP)
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
@click.option("--insecure", is_flag=True, help="The registry need not prove who it is, and may speak plain http.")
@click.option("-v", "--verbose", is_flag=True, help="With platforms and, of an index, each of its manifests.")
@click.pass_context
def command(ctx: click.Context, name: str, insecure: bool, verbose: bool) -> None:
    reference = Reference.parse(name)
    with opened(ctx) as (store, images):
        stored = by_name(images.list(), name)
        with _documents(store.blobs, insecure) as documents:
            if stored is not None:
                top = stored.descriptor
                raw = documents.manifest(reference, top)
            else:
                raw, top = documents.top(reference)
            click.echo(_shown(reference, raw, top, documents, verbose))


def _shown(reference: Reference, raw: bytes, top: Descriptor, documents: _Documents, verbose: bool) -> str:
    if top.media_type not in INDEXES:
        return whole(_details(reference, raw, top, documents)) if verbose else indented(raw, "\t")
    index = read_index(raw)
    if not verbose:
        return listed(index)
    return whole([_member(replace(reference, digest=one.digest), one, documents) for one in index.manifests])


def _member(reference: Reference, entry: Descriptor, documents: _Documents) -> dict[str, Any]:
    if entry.media_type not in MANIFESTS:
        raise ImageFault(f"{reference}: unsupported manifest type: {entry.media_type}")
    return _details(reference, documents.manifest(reference, entry), entry, documents)


def _details(reference: Reference, raw: bytes, descriptor: Descriptor, documents: _Documents) -> dict[str, Any]:
    """An index's word on a platform goes before the config's."""
    config = documents.config(reference, read_manifest(raw).config)
    platform = descriptor.platform if reference.digest and descriptor.platform else parse_config(config).platform
    return detailed(
        str(reference), raw, replace(descriptor, platform=platform), descriptor.media_type == DOCKER_MANIFEST
    )


class _Documents:
    """Manifests and configs, from the store if they are there."""

    def __init__(self, blobs: BlobStore, registries: Registries) -> None:
        self._blobs, self._registries = blobs, registries

    def top(self, reference: Reference) -> tuple[bytes, Descriptor]:
        try:
            found = self._registries.top(reference)
        except NotThere as error:
            raise ImageFault(f"no such manifest: {reference}", error.hint) from error
        return found.raw, found.descriptor

    def manifest(self, reference: Reference, entry: Descriptor) -> bytes:
        if self._blobs.has(entry.digest, entry.size):
            return self._blobs.read(entry.digest, limit=DOCUMENT_LIMIT)
        return self._registries.document(reference, entry).raw

    def config(self, reference: Reference, blob: Descriptor) -> bytes:
        if self._blobs.has(blob.digest, blob.size):
            return self._blobs.read(blob.digest, limit=DOCUMENT_LIMIT)
        return self._registries.config(reference, blob)


@contextmanager
def _documents(blobs: BlobStore, insecure: bool) -> Iterator[_Documents]:
    from builder.cli.registries import opened_registries

    with opened_registries(os.environ, insecure) as registries:
        yield _Documents(blobs, registries)
