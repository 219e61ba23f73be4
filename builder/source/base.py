"""BaseImages: an image's name, as a FROM or --from has it, to a pinned image in the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from builder.errors import ImageFault, RegistryFault, SourceFault, TransportFault
from builder.graph.operation import ImageSource
from builder.graph.program import ResolvedImage
from builder.images.image import Image, parse
from builder.images.store import ImageStore
from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import read_manifest
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.source.remotebases import RemoteBases
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault, DigestMismatch
from cache.store import Store

if TYPE_CHECKING:
    from builder.policy.facts import ImageFacts
    from builder.source.sourcerules import SourceRules

_NOT_LOCAL = "the image is not in the local store: build or pull it under this name, or give it with --build-context"


class NamedImage(msgspec.Struct, frozen=True):
    """A --build-context that is an image. kind: oci-layout, docker-archive or docker-image.

    path: of the file or folder, or an image's name. selector: tag or digest, or "".
    """

    kind: str
    path: str
    selector: str = ""


class BaseImages:
    """Resolves each name once a build; what lies outside the store is taken into it, checked, before it is used."""

    def __init__(
        self,
        store: Store,
        images: ImageStore,
        named: Mapping[str, NamedImage],
        remote: RemoteBases | None = None,
        rules: SourceRules | None = None,
    ) -> None:
        """remote: where images are asked for that the store lacks; None for nowhere. rules: which may be used."""
        self._rules = rules
        self._store = store
        self._images = images
        self._named = named
        self._remote = remote
        self._resolved: dict[tuple[str, Platform], ResolvedImage] = {}
        self._looked: dict[tuple[str, Platform], tuple[Image, Digest | None]] = {}
        self._by_manifest: dict[Digest, Image] = {}

    def resolve(self, name: str, platform: Platform) -> ResolvedImage:
        """The image of this name for platform; raises SourceFault where there is none."""
        known = self._resolved.get((name, platform))
        if known is None:
            image = self._image(name, platform)
            self._by_manifest[image.descriptor.digest] = image
            self._store.blobs.hold(*(layer.blob.digest for layer in image.layers))  # whatever becomes of its name
            known = ResolvedImage(name, image.descriptor.digest, image.config)
            self._resolved[name, platform] = known
        return known

    def layers(self, operation: ImageSource) -> tuple[Layer, ...]:
        """The layers of an image that resolve() has shown."""
        return self._by_manifest[operation.manifest].layers

    def _image(self, name: str, platform: Platform) -> Image:
        named = self._named.get(name)
        if named is None:
            return self._allowed(name, platform)
        if named.kind == "docker-image":
            return self._allowed(named.path, platform)
        if self._rules is not None:
            self._rules.archive(named.kind, name)
        return self._named_image(name, platform)

    def _allowed(self, name: str, platform: Platform) -> Image:
        if self._rules is not None:
            name = self._rules.image(name, platform, lambda name: self.facts(name, platform))
        return self._found(name, platform)[0]

    def facts(self, name: str, platform: Platform) -> ImageFacts:
        """What a policy may look at before it decides. No rule is asked."""
        from builder.policy.facts import ImageFacts

        image, top = self._found(name, platform)
        if top is None and self._remote is not None:
            top = self._remote.top(Reference.parse(name), platform, image)
        digest = top or image.descriptor.digest
        look = None
        if self._remote is not None:
            reference = msgspec.structs.replace(Reference.parse(name), tag="", digest=digest)
            look = partial(self._remote.attested, reference)
        return ImageFacts(str(digest), image.config_raw, str(image.descriptor.digest), look)

    def _found(self, name: str, platform: Platform) -> tuple[Image, Digest | None]:
        """The image, and what the store has under its name; None if it is from a registry.

        Looked for once: what a policy has seen is what is used, whatever a registry says later.
        """
        known = self._looked.get((name, platform))
        if known is None:
            known = self._looked[name, platform] = self._look(name, platform)
        return known

    def _look(self, name: str, platform: Platform) -> tuple[Image, Digest | None]:
        reference = Reference.parse(name)
        stored = None if self._remote is not None and self._remote.always else self._images.resolve(name)
        try:
            if stored is None and self._remote is not None:
                return self._remote.resolve(reference, platform), None
            if stored is None:
                raise SourceFault(f"{reference}: not found", _NOT_LOCAL)
            try:
                return self._images.load(stored.descriptor, platform), stored.descriptor.digest
            except CacheFault as error:
                if self._remote is None or isinstance(error, DigestMismatch):
                    raise
                return self._remote.resolve(reference, platform), None  # a name pulled for another platform
        except (SourceFault, ImageFault, RegistryFault) as error:
            raise SourceFault(
                f"failed to resolve source metadata for {reference}: {error.message}", error.hint or _NOT_LOCAL
            ) from error
        except TransportFault as error:
            raise SourceFault(
                f"failed to resolve source metadata for {reference}: {reference}: not found in the local store, "
                f"and its registry cannot be asked: {error.message}",
                _NOT_LOCAL,
            ) from error

    def _named_image(self, name: str, platform: Platform) -> Image:
        source = self._named[name]
        memo = _memo_key(source, platform)
        known = record.recall(self._store.index.memo("import", memo), Descriptor)
        if known is not None:
            image = self._load(known)
            if image is not None:
                return image
        from builder.images.archive import import_archive
        from builder.images.layout import import_layout

        if source.kind == "oci-layout":
            descriptor = import_layout(source.path, source.selector, self._store.blobs, platform)
        else:
            descriptor = import_archive(source.path, self._store.blobs, platform, source.selector)
        self._store.index.put_memo("import", memo, record.encode(descriptor))
        image = self._load(descriptor)
        if image is None:
            raise ImageFault(f"the image of {source.path} did not arrive whole")
        return image

    def _load(self, descriptor: Descriptor) -> Image | None:
        blobs = self._store.blobs
        if not blobs.has(descriptor.digest, descriptor.size):
            return None
        raw = blobs.read(descriptor.digest)
        manifest = read_manifest(raw)
        if not all(blobs.has(d.digest, d.size) for d in (manifest.config, *manifest.layers)):
            return None
        return parse(raw, blobs.read(manifest.config.digest), descriptor)


def _memo_key(source: NamedImage, platform: Platform) -> Digest:
    path = os.path.join(source.path, "index.json") if source.kind == "oci-layout" else source.path
    try:
        status = os.stat(path)
    except OSError as error:
        raise SourceFault(f"unable to read build context {source.path}: {error.strerror}") from error
    times = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return record.digest((source, str(platform), times))
