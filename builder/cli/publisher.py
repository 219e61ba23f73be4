"""Publisher: what was built, to wherever the command wants it: names in the store, outputs, registries, files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from builder.cli.delivery import Delivery, image_id, write_id, write_metadata
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.cli.sharing import Sharing
from builder.errors import OutputFault
from builder.export.exporter import Part
from builder.export.options import OutputSpec
from builder.graph.event import Warned
from builder.graph.program import Program
from builder.images.index import AnyImage, join
from builder.images.store import ImageStore
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference
from builder.solve.assemble import CACHE, make_image, rfc3339
from builder.source.remotebases import RemoteBases
from cache.store import Store

if TYPE_CHECKING:
    from builder.trace.trace import Outcome


class Publisher:
    """deliveries: one for each -o, already checked, none for the store alone.

    bases, sharing: give the layers that are not here yet.
    """

    def __init__(
        self,
        request: BuildRequest,
        store: Store,
        images: ImageStore,
        deliveries: Sequence[Delivery],
        bases: RemoteBases,
        sharing: Sharing,
        report: Reporter,
    ) -> None:
        self._request = request
        self._store = store
        self._images = images
        self._deliveries = deliveries or (Delivery(OutputSpec(kind="image"), store),)
        self._bases = bases
        self._sharing = sharing
        self._report = report

    def complete(self, parts: Iterable[Part]) -> None:
        """See to it that the layers are here whose bytes an output wants. Nothing is written yet."""
        kinds = {delivery.spec.kind for delivery in self._deliveries}
        for part in parts:
            if "image" in kinds:
                self._bases.complete(part.image.layers)  # what is listed is whole
            if kinds - {"registry", "cacheonly"}:
                self._sharing.complete(part.image.layers)

    def publish(
        self,
        programs: Sequence[Program],
        parts: tuple[Part, ...],
        told: Sequence[Warned],
        outcomes: Callable[[], Sequence[Outcome]] = lambda: (),
        delivered: Callable[[], Descriptor | None] = lambda: None,
        proxied: Sequence[dict[str, Any]] | None = None,
    ) -> AnyImage:
        """Gives the image of the last output that is one, which is what the build is said to have made.

        programs, parts: one of each for a platform. told: the lint findings. outcomes: of the steps. delivered: called
        before the files that speak of the build are written.

        proxied: requests of --proxy-network. Raises OutputFault, RegistryFault.
        """
        request, image = self._request, self._result(parts)
        step = self._report.begin("exporting to image")
        created = rfc3339(int(time.time()))
        for delivery in self._deliveries:
            dated = self._dated(programs, parts, delivery.spec.epoch)
            loading = self._report.begin(f"importing to {delivery.engine}") if delivery.loads else None
            made = delivery.deliver(dated, request.joined, request.tags, self._report.warn, request.epoch)
            if loading is not None:
                self._report.done(loading)
            if made is not None:
                image = made
            if delivery.spec.kind == "image":
                self._keep(image, delivery.names(request.tags, image.descriptor.digest), created)
            if delivery.spec.push:
                self._push(image, delivery)
        cache = delivered()
        if request.iidfile:
            write_id(request.iidfile, image_id(image, self._deliveries))
        if request.metadata_file:
            write_metadata(request.metadata_file, request, image, request.epoch, outcomes(), told, cache, proxied)
        self._report.done(step)
        return image

    def _dated(self, programs: Sequence[Program], parts: tuple[Part, ...], epoch: int | None) -> tuple[Part, ...]:
        """The images as an output wants them dated: by its own source-date-epoch, if it has one."""
        if epoch is None:
            return parts
        dated = []
        for program, part in zip(programs, parts, strict=True):
            image = make_image(program, part.image.layers, epoch, part.image.config.unknown.get(CACHE))
            self._store.blobs.put(image.config_raw)
            self._store.blobs.put(image.manifest_raw)
            dated.append(replace(part, image=image))
        return tuple(dated)

    def _push(self, image: AnyImage, delivery: Delivery) -> None:
        from builder.cli.registries import opened_registries
        from builder.registry.pushing import push

        names, spec = delivery.names(self._request.tags, image.descriptor.digest), delivery.spec
        if not names:
            raise OutputFault("tag is needed when pushing to registry", "give --tag, or name= in the output")
        for name in names:
            step = self._report.begin(f"pushing {name}")
            with opened_registries(os.environ, spec.insecure, self._report.warn) as registries:
                push(
                    image.descriptor,
                    name,
                    self._store.blobs,
                    registries,
                    lambda layer, word: None,
                    lambda blob: self._bases.source(blob) or self._sharing.source(blob),
                    spec.by_digest,
                )
            self._report.done(step)

    def _result(self, parts: tuple[Part, ...]) -> AnyImage:
        if not self._request.joined:
            return parts[0].image
        index = join((part.platform, part.image) for part in parts)
        self._store.blobs.put(index.raw)
        return index

    def _keep(self, image: AnyImage, names: tuple[Reference, ...], created: str) -> None:
        for name in names:
            self._images.tag(name, image.descriptor, created)
        if not names:
            self._images.keep(image.descriptor, created)
