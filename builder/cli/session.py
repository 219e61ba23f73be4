"""Session: one build from its request to its outputs; the only place where the frontend and the builder meet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from builder.cli.bounds import unpack_limits
from builder.cli.definition import Definition
from builder.cli.delivery import Delivery
from builder.cli.devices import Granted
from builder.cli.folders import Folders
from builder.cli.passing import passing
from builder.cli.publisher import Publisher
from builder.cli.reading import Reading
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.cli.resolvconf import resolv_conf
from builder.cli.secret import reader
from builder.cli.sharing import Sharing
from builder.cli.ssh import SshAgents
from builder.cli.traced import Traced
from builder.export.exporter import Part
from builder.export.options import OutputSpec
from builder.graph.inputs import chain_of
from builder.graph.operation import Exec
from builder.graph.program import Program
from builder.images.index import AnyImage
from builder.images.store import ImageStore
from builder.layer.codec import Codec, codec
from builder.layer.entry import Item
from builder.oci.config import DEFAULT_EPOCH
from builder.oci.descriptor import Descriptor
from builder.solve.assemble import make_image
from builder.solve.local import LocalExecutor
from builder.solve.lookup import Lookup
from builder.solve.scheduler import Scheduler
from builder.solve.surroundings import Surroundings
from builder.solve.trees import Trees
from builder.source.base import BaseImages
from builder.source.remotebases import RemoteBases
from builder.source.remotes import Remotes
from cache.digest import Digest
from cache.store import Store
from frontends.dockerfile.options import proxy_env

if TYPE_CHECKING:
    from builder.cli.proxynetwork import ProxyNetwork
    from builder.sandbox.launch import Launcher
    from builder.snapshot.snapshots import Snapshots
    from builder.source.pulled import Pulled
    from builder.trace.trace import Outcome


class Session:
    """Holds what one build opens; use as a context manager."""

    def __init__(
        self,
        request: BuildRequest,
        definition: Definition,
        store: Store,
        remotes: Remotes,
        deliveries: Sequence[Delivery],
        sharing: Sharing,
        report: Reporter,
        at_once: int | None = None,
    ) -> None:
        """at_once: how many steps may run at the same time, None for what suits the machine.

        delivering: whether outputs are being written.
        """
        self.report, self.definition, self._at_once = report, definition, at_once
        self.delivering = False
        self._sharing = sharing
        self.traced: Traced | None = None
        self._store = store
        self._remotes = remotes
        self._deliveries = deliveries
        self._codec = _codec([delivery.spec for delivery in deliveries])
        self._images = ImageStore(store.root, store.blobs)
        self._opened = ExitStack()
        self._trees: Trees | None = None
        self._lookup: Lookup | None = None
        self._devices = Granted(request.devices, os.environ)
        self._unpack = unpack_limits(os.environ)
        self._agents = SshAgents(request.ssh)
        self._network: ProxyNetwork | None = None
        self.folders = Folders(definition, request.named_folders, store, remotes.rules, request.exact_modes)
        self._pulled = RemoteBases(store, self._connect, self.report.emit, self.report.clock, request.pull)
        self._bases = BaseImages(store, self._images, dict(request.named_images), self._pulled, remotes.rules)
        self.reading = Reading(request, definition, store, self._bases, remotes, self.folders, self.report)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.folders.close()
        if self._trees is not None:
            self._trees.close()
        self._agents.close()
        self._store.blobs.suppliers.clear()
        self._pulled.close()
        self._opened.close()

    def run(self) -> AnyImage:
        """Build and deliver. Raises the Fault of whatever failed first."""
        for problem in (self._store.index.rebuilt, self._images.rebuilt):
            if problem:
                self.report.warn(problem)
        programs = self.reading.programs()
        parts = self._solve(programs)
        publisher = Publisher(
            self.reading.request, self._store, self._images, self._deliveries, self._pulled, self._sharing, self.report
        )
        publisher.complete(parts)
        self.delivering = True
        return publisher.publish(
            programs, parts, self.reading.told, self.outcomes, lambda: self._share(programs), self._proxied(programs)
        )

    def outcomes(self) -> tuple[Outcome, ...]:
        """What became of the steps so far."""
        return self.traced.outcomes() if self.traced is not None else ()

    def _proxied(self, programs: tuple[Program, ...]) -> list[dict[str, Any]] | None:
        return None if self._network is None else self._network.facts(programs[-1].graph)

    def _connect(self) -> Pulled:
        from builder.cli.registries import opened_registries
        from builder.source.pulled import Pulled

        registries = self._opened.enter_context(opened_registries(os.environ, warn=self.report.warn))
        return Pulled(registries, self._store.blobs, self._unpack)

    def _solve(self, programs: tuple[Program, ...]) -> tuple[Part, ...]:
        targets = [program.target for program in programs if program.target is not None]
        if not targets:
            return tuple(self._part(program, None) for program in programs)
        graph, fresh = programs[-1].graph, frozenset[Digest]().union(*(program.fresh for program in programs))
        for vertex in graph.vertices.values():
            if isinstance(vertex.operation, Exec) and vertex.operation.devices:
                self._devices.names(vertex.operation.devices)  # what is forbidden is so for a cached step too
        self.folders.open(graph)
        self._trees = Trees(self._open_snapshots, self._store.blobs, self.report.warn, self._unpack)
        executor = self._local_executor(self._trees)
        request = self.reading.request
        traced = self.traced = Traced(
            request, self.definition, self._store, graph, targets, fresh, self.reading.variable, self.report
        )
        scheduler = Scheduler(
            graph,
            self._store,
            executor,
            self._bases.layers,
            traced.emit,
            self.report.clock,
            time.time(),
            why=lambda task: self._sharing.why(scheduler.lookup.key(task.digest)) or traced.why(task),
            forget=(lambda vertex: True) if request.no_cache else fresh.__contains__,
            at_once=self._at_once,
            imported=self._sharing.imports,
            stored=self._sharing.stored,
        )
        self._sharing.begin(self._store, chain_of(graph, targets))
        traced.follow(scheduler, executor)
        try:
            scheduler.run(*targets)
        finally:
            if passing(sys.exception()) is None:
                traced.finish()
            executor.close()
            self.folders.save_stats()
        self._lookup = scheduler.lookup
        return tuple(self._part(program, scheduler) for program in programs)

    def _share(self, programs: tuple[Program, ...]) -> Descriptor | None:
        """Write the caches that are elsewhere; the manifest of the last one."""
        if self._lookup is None:
            return None
        targets = tuple(program.target for program in programs if program.target is not None)
        return self._sharing.finish(self._store, self._lookup, programs[-1].graph, targets)

    def _part(self, program: Program, scheduler: Scheduler | None) -> Part:
        stack = scheduler.stack(program.target) if scheduler is not None and program.target is not None else ()
        layers = tuple(stratum.wait() for stratum in stack)
        self._sharing.check(layers)
        records = (
            self._sharing.records(scheduler.lookup, program.target)
            if scheduler is not None and program.target is not None
            else None
        )
        image = make_image(program, layers, self.reading.request.epoch, records)
        self._store.blobs.put(image.config_raw)
        self._store.blobs.put(image.manifest_raw)

        def tree() -> Iterator[Item]:
            return self._trees.items(stack) if stack and self._trees is not None else iter(())

        forms = {stratum.wait().blob.digest: stratum.form for stratum in stack if stratum.form}
        return Part(program.platform, image, len(program.config.diff_ids), tree, forms)

    def _local_executor(self, trees: Trees) -> LocalExecutor:
        request = self.reading.request
        if request.proxy_network or (self._remotes.rules is not None and self._remotes.rules.proxied):
            from builder.cli.proxynetwork import ProxyNetwork

            given = dict(pair.split("=", 1) for pair in proxy_env(dict(request.build_args)))
            self._network = ProxyNetwork(self._remotes, {**os.environ, **given}, request.hosts)
        surroundings = Surroundings(
            proxy=proxy_env(dict(request.build_args)),
            addresses=request.hosts,
            resolv_conf=resolv_conf(),
            mtime=DEFAULT_EPOCH,
            secrets=reader(request.secrets, os.environ),
            agents=self._agents.socket,
            limits=request.limits,
            warn=self.report.warn,
            devices=self._devices.given,
            unpack=self._unpack,
            restore=self._sharing.restore,
            recording=self._network,
        )
        return LocalExecutor(
            self._store,
            trees,
            self._launch,
            self.folders.contexts,
            self._remotes,
            self._codec,
            surroundings,
            self.report.emit,
            self.report.clock,
            self._cancel,
        )

    def _cancel(self) -> None:
        self._pulled.cancel()
        self._sharing.cancel()

    def _open_snapshots(self) -> Snapshots:
        from builder.sandbox.stub import make_stub
        from builder.snapshot.snapshots import open_snapshots

        return open_snapshots(self._store.root, make_stub, self.report.warn)

    def _launch(self) -> Launcher:
        from builder.sandbox.launch import Launcher
        from builder.sandbox.seccomp import compiled

        return Launcher(compiled(self._store.root), self.report.warn)


def _codec(outputs: Sequence[OutputSpec]) -> Codec:
    """The form that new layers are packed in: that of the first output, so that they need not be packed again."""
    for spec in outputs:
        if spec.compression:
            return codec(spec.compression, spec.level)
    return codec("gzip")
