"""Delivery: a built image to its outputs, and the files that speak of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from builder.cli.request import BuildRequest
from builder.errors import OutputFault
from builder.export.annotations import of_image, of_index
from builder.export.archive import ArchiveExporter
from builder.export.dated import dated
from builder.export.exporter import Exporter, Part, TreeSource
from builder.export.layoutfolder import LayoutFolderExporter
from builder.export.local import LocalExporter
from builder.export.options import IMAGES, OutputSpec, parse_output
from builder.export.recompress import IndexVariants, recompress
from builder.export.split import one_tree
from builder.export.tar import TarExporter
from builder.export.target import Target, check_folder
from builder.export.transfer import Transfer
from builder.graph.event import Warned
from builder.images.image import Image, assemble
from builder.images.index import AnyImage, ImageIndex, join
from builder.layer.codec import Codec, codec
from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.solve.assemble import rfc3339
from cache.digest import Digest
from cache.store import Store
from cache.wholefile import is_special, replace_file

if TYPE_CHECKING:
    from builder.export.loaded import EngineExporter
    from builder.trace.trace import Outcome


class Delivery:
    """One -o. check() before the build, deliver() after it."""

    def __init__(self, spec: OutputSpec, store: Store, allow: frozenset[str] = frozenset()) -> None:
        """allow: the entitlements that were given."""
        self.spec = spec
        self._store, self._allow = store, allow
        self._names = tuple(Reference.parse(name) for name in spec.names)
        self._prefix = Reference.parse(spec.prefix) if spec.prefix else None
        self._engine: EngineExporter | None = None
        if spec.compression or spec.level is not None:
            codec(spec.compression or "gzip", spec.level)  # a wrong level is said before the build, not after

    @property
    def loads(self) -> bool:
        """Whether the image goes into an engine that runs here."""
        return self.spec.kind == "docker" and not self.spec.dest

    @property
    def engine(self) -> str:
        """Its name, once check() has found it."""
        return self._engine.name if self._engine is not None else ""

    @property
    def by_manifest(self) -> bool:
        """Whether that calls images by the digest of their manifest."""
        return self._engine is not None and self._engine.indexes

    def check(self, platforms: int = 1, joined: bool = False) -> None:
        """platforms: how many are built. joined: whether they make an index."""
        if self.loads:
            from builder.export.engine import find
            from builder.export.loaded import EngineExporter

            self._engine = EngineExporter(find(os.environ), Transfer(self._store.blobs), joined)
        elif self.spec.kind == "docker" and platforms > 1:
            raise OutputFault("docker exporter does not support exporting manifest lists, use the oci exporter instead")
        elif self.spec.kind == "docker" and joined:
            raise OutputFault("docker exporter does not currently support exporting manifest lists", "use type=oci")
        if self.spec.kind not in ("image", "registry", "cacheonly"):
            self._exporter(lambda: iter(()), lambda text: None).check()

    def deliver(
        self,
        parts: Sequence[Part],
        joined: bool,
        tags: tuple[Reference, ...],
        warn: Callable[[str], None],
        epoch: int | None = None,
    ) -> AnyImage | None:
        """Write the image, or with joined the index of the images; what was written, None if that is no image.

        The bases' layers keep their form unless another is forced. epoch: of the build.
        """
        if self.spec.kind == "cacheonly":
            return None
        date = epoch if self.spec.epoch is None else self.spec.epoch
        if self.spec.kind not in IMAGES:
            split = joined if self.spec.split is None else self.spec.split
            self._exporter(dated(one_tree(parts, split), date), warn).write(parts[0].image, self._names or tags)
            return None
        images = [(part.platform, self._in_form(part, joined, warn, date)) for part in parts]
        made = self._joined(images) if joined else images[0][1]
        if self.spec.kind not in ("image", "registry"):
            self._exporter(parts[0].tree, warn).write(made, self._names or tags)
        return made

    def _joined(self, images: Sequence[tuple[Platform, Image]]) -> ImageIndex:
        annotations, descriptor = of_index(self.spec.annotations, [platform for platform, _ in images])
        index = join(images, annotations, docker=self.spec.docker_types, descriptor_annotations=descriptor)
        self._store.blobs.put(index.raw)
        return index

    def names(self, tags: tuple[Reference, ...], digest: Digest) -> tuple[Reference, ...]:
        """What the image of this digest is called."""
        names = self._names or tags
        return names if self._prefix is None else (*names, replace(self._prefix, tag="", digest=digest))

    def _exporter(self, tree: TreeSource, warn: Callable[[str], None]) -> Exporter:
        spec, transfer = self.spec, Transfer(self._store.blobs)
        if spec.kind == "local":
            return LocalExporter(spec.dest, tree, warn, spec.delete, self._allow)
        if spec.kind == "oci" and not spec.tar:
            return LayoutFolderExporter(spec.dest, transfer)
        if self._engine is not None:
            return self._engine
        target = Target(spec.dest, spec.kind)
        if spec.kind == "tar":
            return TarExporter(target, tree)
        return ArchiveExporter(target, transfer, docker=spec.kind == "docker")

    def _in_form(self, part: Part, joined: bool, warn: Callable[[str], None], date: int | None) -> Image:
        """The image with the layers, media types and annotations that the output asks for."""
        spec, image, base_layers = self.spec, part.image, part.base_layers
        layers = self._rewritten(image.layers, base_layers, warn, date)
        layers = self._recompressed(layers, part)
        annotations, descriptor = of_image(spec.annotations, part.platform, joined)
        if layers == image.layers and not (annotations or descriptor or spec.docker_types):
            return image
        made = assemble(image.config, layers, annotations, docker=spec.docker_types, descriptor_annotations=descriptor)
        self._store.blobs.put(made.config_raw)
        self._store.blobs.put(made.manifest_raw)
        return made

    def _rewritten(
        self, layers: tuple[Layer, ...], base_layers: int, warn: Callable[[str], None], date: int | None
    ) -> tuple[Layer, ...]:
        if not self.spec.rewrite:
            return layers
        if date is None:
            warn("rewrite-timestamp is specified, but no source-date-epoch was found")
            return layers
        from builder.export.rewritten import rewritten

        own = [
            rewritten(layer, date, self._codec(), self._store.blobs, self._store.index)
            for layer in layers[base_layers:]
        ]
        return (*layers[:base_layers], *own)

    def _codec(self) -> Codec:
        """The one that the build's own layers are to be packed with, whatever form a cache has them in."""
        return codec(self.spec.compression or "gzip", self.spec.level)

    def _recompressed(self, layers: tuple[Layer, ...], part: Part) -> tuple[Layer, ...]:
        """A layer stays as it is if it has the form, and if none is named and it is a base's or has the usual one."""
        spec, form, variants = self.spec, self._codec(), IndexVariants(self._store.index)
        named = bool(spec.compression) or spec.level is not None
        keep = 0 if named and spec.force else part.base_layers
        made = list(layers)
        for n, layer in enumerate(layers[keep:], keep):
            packed = part.forms.get(layer.blob.digest, "")
            if packed != form.fingerprint and (named or packed):
                exact = bool(packed) or spec.level is not None
                made[n] = recompress(layer, form, self._store.blobs, variants, exact=exact)
        return tuple(made)


def check_iidfile(request: BuildRequest) -> None:
    """OutputFault if there would be no image that --iidfile could name."""
    kinds = {parse_output(text).kind for text in request.outputs}
    if request.iidfile and kinds & {"local", "tar"}:
        raise OutputFault("local and tar exporters are incompatible with image ID file", "drop --iidfile")


def check_files(request: BuildRequest) -> None:
    """OutputFault if --iidfile or --metadata-file cannot be written; an old id goes, so none outlives a failure."""
    for path in (request.iidfile, request.metadata_file):
        if path and os.path.isdir(path):
            raise OutputFault(f"cannot write {path}: it is a directory", "give the name of a file")
        if path and not is_special(path):
            check_folder(os.path.dirname(path) or ".", path)
    if request.iidfile and not is_special(request.iidfile):
        with suppress(FileNotFoundError):
            os.unlink(request.iidfile)


def image_id(image: AnyImage, deliveries: Sequence[Delivery]) -> str:
    """What the image is called where it went: that of its config, of an index its digest. An engine with containerd's
    image store goes by the digest of the manifest.
    """
    return str(image.descriptor.digest if any(one.by_manifest for one in deliveries) else image.id)


def write_id(path: str, text: str) -> None:
    """--iidfile: the image id, without a newline."""
    _write(path, text.encode())


def write_metadata(
    path: str,
    request: BuildRequest,
    image: AnyImage,
    epoch: int | None,
    outcomes: Sequence[Outcome] = (),
    warned: Sequence[Warned] = (),
    cache: Descriptor | None = None,
    proxied: Sequence[dict[str, Any]] | None = None,
) -> None:
    """--metadata-file: facts of the build under BuildKit's keys, and of its steps under ours.

    warned: of the lint rules, if they are wanted. cache: the manifest of what --cache-to wrote.
    proxied: what steps asked for, with --proxy-network.
    """
    import json

    from builder.trace.trace import plain

    descriptor = msgspec.to_builtins(image.descriptor, enc_hook=str)
    created = max(one.config.created for one in image.images)
    descriptor["annotations"] = {"org.opencontainers.image.created": created or rfc3339(epoch or 0)}
    data: dict[str, Any] = {
        "buildx.build.ref": f"lapstrake/lapstrake/{os.urandom(12).hex()}",
        "containerimage.descriptor": descriptor,
        "containerimage.digest": str(image.descriptor.digest),
    }
    if isinstance(image, Image):  # an index has no config
        descriptor["annotations"]["config.digest"] = data["containerimage.config.digest"] = str(image.id)
    if warned and request.metadata_warnings:
        from builder.progress.jsonl import vertex_warning

        data["buildx.build.warnings"] = [vertex_warning(event) for event in warned]
    if proxied is not None:
        data["lapstrake.proxy.requests"] = list(proxied)
    data["lapstrake.steps"] = [plain(outcome) for outcome in outcomes]
    if cache is not None:
        data["cache.manifest"] = msgspec.json.encode(cache, enc_hook=str).decode()  # a text, as buildx has it
    if request.tags:
        data["image.name"] = ",".join(str(tag) for tag in request.tags)
    _write(path, json.dumps(data, indent=2, sort_keys=True).encode() + b"\n")


def write_answer(request: BuildRequest, results: str) -> None:
    """The same files of a build that only answers a question: there is no image. results: of --call, as JSON."""
    if request.metadata_file:
        _write(request.metadata_file, results.encode())
    if request.iidfile:
        _write(request.iidfile, b"")


def _write(path: str, data: bytes) -> None:
    try:
        replace_file(path, data)
    except OSError as error:
        raise OutputFault(f"cannot write {path}: {error.strerror}", "its folder must exist and be writable") from error
