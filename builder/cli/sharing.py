"""Sharing: the caches of one build that are elsewhere, opened from --cache-from and --cache-to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from builder.cli.bounds import unpack_limits
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.errors import LostResult, OutputFault
from builder.graph.graph import BuildGraph
from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store

if TYPE_CHECKING:
    from builder.registry.registries import Registries
    from builder.remotecache.cacheexport import CacheExport
    from builder.remotecache.imports import Imports
    from builder.remotecache.options import CacheSpec
    from builder.remotecache.storage import Storage
    from builder.solve.lookup import Lookup


class Sharing:
    """Lives as long as a command. imports: None without --cache-from. inline: records go into the image."""

    def __init__(
        self, imports: Imports | None, exports: list[tuple[CacheSpec, CacheExport]], inline: bool, report: Reporter
    ) -> None:
        self.imports = imports
        self.inline = inline
        self._exports, self._report = exports, report
        self._chain: frozenset[Digest] = frozenset()

    def begin(self, store: Store, chain: frozenset[Digest]) -> None:
        """A try to build begins. chain: the steps whose layers the image has."""
        self._chain = chain
        if self.imports is not None:
            self.imports.begin()
            store.blobs.suppliers.append(self.imports.supply)

    def stored(self, vertex: Digest, layer: Layer) -> None:
        for _, export in self._exports:
            export.offer(layer, vertex in self._chain)

    def cancel(self) -> None:
        if self.imports is not None:
            self.imports.cancel()

    def complete(self, layers: tuple[Layer, ...]) -> None:
        """See to it that an image's layers are here. Raises LostResult."""
        if self.imports is not None:
            self.imports.complete(layers)

    def check(self, layers: tuple[Layer, ...]) -> None:
        """Raises LostResult if one of an image's layers is nowhere."""
        if self.imports is not None:
            self.imports.check(layers)

    def why(self, key: Digest | None) -> str:
        """Why a step is run whose result was promised; "" for any other."""
        return self.imports.why(key) if self.imports is not None else ""

    def source(self, blob: Digest) -> Reference | None:
        """A repository that has a blob."""
        found = [self.imports.source(blob)] if self.imports is not None else []
        return next((place for place in (*found, *(export.source(blob) for _, export in self._exports)) if place), None)

    def records(self, lookup: Lookup, target: Digest) -> Any:
        """What an image's config has of the cache, None for nothing."""
        if not self.inline:
            return None
        from builder.remotecache.cacheexport import make_records
        from builder.remotecache.records import to_config

        return to_config(make_records(lookup.known(target), lookup.selected(target)))

    def restore(self, name: str, path: str) -> bool:
        """Fill an empty folder with what is shared of a cache mount; False for nothing."""
        return self.imports is not None and self.imports.restore(name, path, unpack_limits(os.environ))

    def finish(self, store: Store, lookup: Lookup, graph: BuildGraph, targets: tuple[Digest, ...]) -> Descriptor | None:
        """Write what --cache-to asks for; the manifest of the last one. Raises OutputFault, LostResult."""
        manifest: Descriptor | None = None
        for spec, export in self._exports:
            step = self._report.begin(f"exporting cache to {_PLACE[spec.kind]} {export.storage.name}")
            try:
                with self._mounts(spec, store, graph, targets) as (mounts, archives):
                    known, selected = lookup.known(*targets), lookup.selected(*targets)
                    manifest = export.finish(known, selected, self._chain, mounts, archives) or manifest
                _reset(spec, export, self._report)
            except (Fault, OSError) as error:
                if isinstance(error, LostResult) and not spec.ignore_error:
                    raise  # another try makes it
                said, hint = (error.message, error.hint) if isinstance(error, Fault) else (str(error.strerror), "")
                words = f"failed to export cache to {export.storage.name}: {said}"
                if not spec.ignore_error:
                    raise OutputFault(words, hint or "with ignore-error=true the build goes on") from error
                self._report.warn(words)
            self._report.done(step)
        return manifest

    @contextmanager
    def _mounts(
        self, spec: CacheSpec, store: Store, graph: BuildGraph, targets: tuple[Digest, ...]
    ) -> Iterator[tuple[dict[str, Layer], BlobStore | None]]:
        """The cache mounts of the build's steps as archives, if they are wanted, and where these are."""
        if not spec.mounts:
            yield {}, None
            return
        from builder.remotecache.sharedmounts import aside, packed
        from builder.solve.cachefolders import CacheFolders
        from builder.solve.cachemounts import cache_names

        folders = CacheFolders(store.path("caches"), store.path("tmp"), lambda: True)
        with aside(store.path("tmp")) as archives:
            yield packed(folders, cache_names(graph, targets), spec.mounts_limit, archives, self._report.warn), archives


_PLACE = {"registry": "registry", "local": "client directory", "s3": "Amazon S3"}


@contextmanager
def opened_sharing(request: BuildRequest, store: Store, report: Reporter) -> Iterator[Sharing]:
    """The caches of --cache-from and --cache-to while the block lasts. Raises Fault where one cannot be exported to."""
    if not request.cache_from and not request.cache_to:
        yield Sharing(None, [], False, report)
        return
    from builder.remotecache.cacheexport import CacheExport, index_type
    from builder.remotecache.folderstorage import FolderStorage

    with ExitStack() as stack:
        opener = _Opener(stack)
        imports = _imports(request, store, report, opener) if request.cache_from else None
        exports = []
        for spec in request.cache_to:
            if spec.kind == "inline":
                continue
            storage = opener.storage(spec)
            if isinstance(storage, FolderStorage):
                try:
                    stack.enter_context(storage.exporting())
                except OutputFault as error:
                    if not spec.ignore_error:
                        raise
                    report.warn(error.message)
                    continue
            export = CacheExport(
                storage,
                store,
                spec.everything,
                _form(spec),
                index_type(spec.manifest, spec.docker_types),
                imports.refused if imports is not None else lambda blob: False,
                imports.source if imports is not None else lambda blob: None,
                spec.s3.parallelism if spec.s3 is not None else 4,
            )
            stack.callback(export.close)
            exports.append((spec, export))
        yield Sharing(imports, exports, any(spec.kind == "inline" for spec in request.cache_to), report)


def _imports(request: BuildRequest, store: Store, report: Reporter, opener: _Opener) -> Imports:
    """What cannot even be opened is a warning, too."""
    from builder.remotecache.imports import Imports

    storages, mounts = [], []
    for spec in request.cache_from:
        try:
            if spec.problem:
                raise OutputFault(spec.problem)
            storages.append(opener.storage(spec))
            if spec.mounts:
                mounts.append(storages[-1])
        except OutputFault as error:
            report.warn(f"cache import skipped: {error.message}")
    return Imports(storages, store, report, time.time(), mounts)


def check_exports(specs: tuple[CacheSpec, ...]) -> None:
    """What can be known of --cache-to before the build. Raises OutputFault."""
    from builder.export.layoutfolder import check_destination

    for spec in specs:
        _form(spec)
        if spec.kind == "local" and not spec.ignore_error:
            check_destination(spec.path, "local cache")


def _form(spec: CacheSpec) -> Any:
    if not spec.compression and spec.level is None:
        return None
    from builder.layer.codec import codec

    return codec(spec.compression or "gzip", spec.level), spec.level is not None


def _reset(spec: CacheSpec, export: CacheExport, report: Reporter) -> None:
    """Whatever hinders that is a warning: the cache is written."""
    from builder.remotecache.folderstorage import FolderStorage

    if not spec.reset or not isinstance(export.storage, FolderStorage):
        return
    try:
        done, words = export.storage.reset(), "another build exports to it"
    except (Fault, OSError) as error:
        done, words = False, error.message if isinstance(error, Fault) else str(error.strerror)
    if not done:
        report.warn(f"{spec.path} is not reset: {words}")


class _Opener:
    """Storages by their specs. What they open is closed with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def storage(self, spec: CacheSpec) -> Storage:
        if spec.kind == "local":
            from builder.remotecache.folderstorage import FolderStorage

            return FolderStorage(spec.path, spec.tag, spec.digest)
        if spec.s3 is not None:
            from builder.remotecache.s3storage import S3Storage

            return S3Storage(spec.s3, os.environ)
        from builder.remotecache.registrystorage import RegistryStorage

        assert spec.reference is not None
        return RegistryStorage(spec.reference, lambda: self._registries(spec.insecure))

    def _registries(self, insecure: bool) -> Registries:
        from builder.cli.registries import opened_registries

        return self._stack.enter_context(opened_registries(os.environ, insecure))
