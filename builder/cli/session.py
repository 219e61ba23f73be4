"""Session: one build from its request to its outputs; the only place where the frontend and the builder meet."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from builder.cli.bounds import unpack_limits
from builder.cli.definition import Definition
from builder.cli.delivery import Delivery, write_id, write_metadata
from builder.cli.devices import Granted
from builder.cli.findings import line_note, summary
from builder.cli.request import BuildRequest, epoch
from builder.cli.resolvconf import resolv_conf
from builder.cli.secret import reader
from builder.cli.ssh import SshAgents
from builder.errors import OutputFault, SourceFault, StepFault
from builder.export.exporter import Part
from builder.export.options import OutputSpec
from builder.graph.event import Event, Finished, Started, Warned
from builder.graph.graph import BuildGraph, GraphBuilder
from builder.graph.operation import Exec, LocalSource
from builder.graph.program import Program, Warning
from builder.images.index import AnyImage, join
from builder.images.store import ImageStore
from builder.layer.codec import Codec, codec
from builder.layer.entry import Item
from builder.oci.config import DEFAULT_EPOCH
from builder.oci.platform import host
from builder.oci.reference import Reference
from builder.sandbox.spec import DEFAULT_SHM_SIZE
from builder.solve.assemble import make_image, rfc3339
from builder.solve.local import LocalExecutor
from builder.solve.scheduler import Scheduler
from builder.solve.surroundings import Surroundings
from builder.solve.trees import Trees
from builder.source.base import BaseImages
from builder.source.context import LocalContext
from builder.source.ignore import Ignore
from builder.source.remotebases import RemoteBases
from builder.source.remotes import Remotes
from cache.digest import Digest
from cache.errors import Fault
from cache.stats import StatIndex
from cache.store import Store
from frontends.dockerfile.lower import Checked, check, lower, outline
from frontends.dockerfile.options import LowerOptions, proxy_env
from frontends.dockerfile.outline import targets
from frontends.dockerfile.parse import Dockerfile, parse
from frontends.errors import FrontendFault
from frontends.text import Lines, Source

if TYPE_CHECKING:
    from builder.cli.calls import Call
    from builder.sandbox.launch import Launcher
    from builder.snapshot.snapshots import Snapshots
    from builder.source.pulled import Pulled


class Answer(msgspec.Struct, frozen=True):
    """What --call gives: text for the standard output, the exit status, and what is wrong with the Dockerfile."""

    text: str
    status: int = 0
    fault: str = ""


class Session:
    """Holds what one build opens; use as a context manager."""

    def __init__(
        self,
        request: BuildRequest,
        definition: Definition,
        store: Store,
        remotes: Remotes,
        deliveries: Sequence[Delivery],
        emit: Callable[[Event], None],
    ) -> None:
        self._request = request
        self._definition = definition
        self._store = store
        self._remotes = remotes
        self._deliveries = deliveries
        self._codec = _codec([delivery.spec for delivery in deliveries])
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._render = emit
        self._contexts: dict[str, LocalContext] = {}
        self._ignores: dict[str, Ignore | None] = {}
        self._stats: list[tuple[StatIndex, str]] = []
        self._images = ImageStore(store.root, store.blobs)
        self._opened = ExitStack()
        self._remote = RemoteBases(store, self._connect, self.emit, self.clock, request.pull)
        self._bases = BaseImages(store, self._images, dict(request.named_images), self._remote, remotes.policy)
        self._trees: Trees | None = None
        self._devices = Granted(request.devices, os.environ)
        self._unpack = unpack_limits(os.environ)
        self._agents = SshAgents(request.ssh)
        self._source: Source | None = None
        self._reading: Digest | None = None
        self.told: list[Warned] = []  # the findings, as events
        self._drawn: tuple[Program, ...] = ()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for context in self._contexts.values():
            context.close()
        if self._trees is not None:
            self._trees.close()
        self._agents.close()
        self._store.blobs.supply = None
        self._opened.close()

    def clock(self) -> float:
        """Seconds since the build began."""
        return time.monotonic() - self._start

    def emit(self, event: Event) -> None:
        with self._lock:
            self._render(event)

    def run(self) -> AnyImage:
        """Build and deliver. Raises the Fault of whatever failed first."""
        for problem in (self._store.index.rebuilt, self._images.rebuilt):
            if problem:
                self._warn(problem)
        programs = self._drawn = self._programs()
        for warning in _warnings(programs):
            self._tell(warning)
        return self._deliver(self._solve(programs))

    def ask(self, call: Call) -> Answer:
        """The answer to --call; nothing is built."""
        from builder.cli import calls, findings

        if call.method == "subrequests.describe":
            return Answer(calls.describe(call.form))
        if call.method == "lint":
            checked, source = self._check()
            shown = findings.checked_json if call.form == "json" else findings.checked_text
            fault = findings.fault_text(checked.fault) if checked.fault is not None else ""
            return Answer(shown(checked, source), 1 if checked.findings and not call.ignore_status else 0, fault)
        document = self._document()
        if call.method == "targets":
            return Answer(calls.show_targets(targets(document), document.source, call.form))
        found = outline(document, self._lower_options(), self._bases.resolve, memo=_Memo(self._store))
        return Answer(calls.show_outline(found, document.source, call.form))

    def _check(self) -> tuple[Checked, Source]:
        try:
            document = self._document()
        except FrontendFault as error:
            assert self._source is not None
            return Checked((), error), self._source
        checked = check(
            document, self._lower_options(), self._bases.resolve, memo=_Memo(self._store), ignored=self._hides
        )
        return checked, document.source

    def summary(self, *, expanded: bool, color: bool) -> str:
        """What is to be said of lint findings below the build."""
        if self._source is None:
            return ""
        return summary(_warnings(self._drawn), self._source, expanded=expanded, color=color)

    def excerpt(self, error: Fault) -> str:
        """The lines of the Dockerfile that an error of run() is about, "" where it is about none."""
        if isinstance(error, FrontendFault):
            return error.excerpt
        if not isinstance(error, StepFault) or not self._drawn or self._source is None:
            return ""
        info = self._drawn[-1].graph.info.get(error.vertex)
        span = info.span if info is not None else None
        return self._source.excerpt(Lines(span.first, span.last)) if span is not None else ""

    def _deliver(self, parts: tuple[Part, ...]) -> AnyImage:
        """Gives the image of the last output that is one, which is what the build is said to have made."""
        request, image = self._request, self._result(parts)
        step = self._internal("exporting to image")
        created = rfc3339(int(time.time()))
        if not self._deliveries or any(delivery.spec.kind == "image" for delivery in self._deliveries):
            for part in parts:
                self._remote.complete(part.image.layers)  # what is listed is whole
        if not self._deliveries:
            self._keep(image, request.tags, created)
        for delivery in self._deliveries:
            dated = self._dated(parts, delivery.spec.epoch)
            made = delivery.deliver(dated, request.joined, request.tags, self._warn, request.epoch)
            if made is not None:
                image = made
            if delivery.spec.kind == "image":
                self._keep(image, delivery.names(request.tags), created)
            if delivery.spec.push:
                self._push(image, delivery)
        if request.iidfile:
            write_id(request.iidfile, image)
        if request.metadata_file:
            write_metadata(request.metadata_file, request, image, request.epoch, self.told)
        self._done(step)
        return image

    def _dated(self, parts: tuple[Part, ...], epoch: int | None) -> tuple[Part, ...]:
        """The images as an output wants them dated: by its own source-date-epoch, if it has one."""
        if epoch is None:
            return parts
        dated = []
        for program, part in zip(self._drawn, parts, strict=True):
            image = make_image(program, part.image.layers, epoch)
            self._store.blobs.put(image.config_raw)
            self._store.blobs.put(image.manifest_raw)
            dated.append(replace(part, image=image))
        return tuple(dated)

    def _push(self, image: AnyImage, delivery: Delivery) -> None:
        from builder.cli.registries import opened_registries
        from builder.registry.pushing import push

        names, spec = delivery.names(self._request.tags), delivery.spec
        if not names:
            raise OutputFault("tag is needed when pushing to registry", "give --tag, or name= in the output")
        for name in names:
            step = self._internal(f"pushing {name}")
            with opened_registries(os.environ, spec.insecure) as registries:
                push(
                    image.descriptor,
                    name,
                    self._store.blobs,
                    registries,
                    lambda layer, word: None,
                    self._remote.source,
                    spec.by_digest,
                )
            self._done(step)

    def _connect(self) -> Pulled:
        from builder.cli.registries import opened_registries
        from builder.source.pulled import Pulled

        return Pulled(self._opened.enter_context(opened_registries(os.environ)), self._store.blobs)

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

    def _programs(self) -> tuple[Program, ...]:
        """One for each platform, over one graph, which the last of them has whole."""
        document = self._document()
        self._date(document)
        options = self._lower_options()
        resolve, memo, graph = self._bases.resolve, _Memo(self._store), GraphBuilder()
        each = (replace(options, platform=p) for p in self._request.platforms or (host(),))
        return tuple(lower(document, o, resolve, memo=memo, ignored=self._hides, graph=graph) for o in each)

    def _date(self, document: Dockerfile) -> None:
        """SOURCE_DATE_EPOCH may name a source: from here on it is that one's time, or none."""
        from frontends.dockerfile.epoch import NAME, epoch_source, epoch_text

        text = epoch_text(document, dict(self._request.build_args))
        if not text or self._request.epoch is not None:
            return
        time = epoch(text)
        if time is None:
            source = epoch_source(document, self._lower_options(), text)
            time = None if source is None else self._remotes.time(source)
        arguments = {**dict(self._request.build_args), NAME: "" if time is None else str(time)}
        self._request = replace(self._request, epoch=time, build_args=tuple(arguments.items()))

    def _document(self) -> Dockerfile:
        self._reading = self._internal(f"load build definition from {self._definition.name}")
        self._source = Source(self._definition.name, self._definition.text)
        document = parse(self._source, _Memo(self._store))
        self._done(self._reading)
        return document

    def _lower_options(self) -> LowerOptions:
        request = self._request
        kinds = {n: "local" for n, _ in request.named_folders} | {n: "image" for n, _ in request.named_images}
        kinds |= {n: "remote" for n, _ in request.named_sources}
        main = {} if self._definition.source is None else {"context": self._definition.source}
        return LowerOptions(
            build_args=dict(request.build_args),
            target=request.target,
            labels=request.labels,
            network=request.network,
            platform=(request.platforms or (host(),))[0],
            build_platform=host(),
            platform_given=bool(request.platforms),
            several=request.joined,
            hosts=tuple(n for n, _ in request.hosts),
            contexts=kinds,
            sources={**dict(request.named_sources), **main},
            archive=self._definition.archive,
            allow=request.allow,
            ulimits=request.ulimits,
            no_cache_filter=request.no_cache_filter,
        )

    def _solve(self, programs: tuple[Program, ...]) -> tuple[Part, ...]:
        targets = [program.target for program in programs if program.target is not None]
        if not targets:
            return tuple(self._part(program, None) for program in programs)
        graph, fresh = programs[-1].graph, frozenset[Digest]().union(*(program.fresh for program in programs))
        for vertex in graph.vertices.values():
            if isinstance(vertex.operation, Exec) and vertex.operation.devices:
                self._devices.names(vertex.operation.devices)  # what is forbidden is so for a cached step too
        self._open_contexts(graph)
        self._trees = Trees(self._open_snapshots, self._store.blobs, self._warn, self._unpack)
        executor = self._local_executor(self._trees)
        scheduler = Scheduler(
            graph,
            self._store,
            executor,
            self._bases.layers,
            self.emit,
            self.clock,
            time.time(),
            forget=(lambda vertex: True) if self._request.no_cache else fresh.__contains__,
        )
        try:
            scheduler.run(*targets)
        finally:
            executor.close()
            self._save_stats()
        return tuple(self._part(program, scheduler) for program in programs)

    def _part(self, program: Program, scheduler: Scheduler | None) -> Part:
        stack = scheduler.stack(program.target) if scheduler is not None and program.target is not None else ()
        layers = tuple(stratum.wait() for stratum in stack)
        image = make_image(program, layers, self._request.epoch)
        self._store.blobs.put(image.config_raw)
        self._store.blobs.put(image.manifest_raw)

        def tree() -> Iterator[Item]:
            return self._trees.items(stack) if stack and self._trees is not None else iter(())

        return Part(program.platform, image, len(program.config.diff_ids), tree)

    def _open_contexts(self, graph: BuildGraph) -> None:
        """Open the client folders that the graph reads."""
        folders = {"context": self._definition.context, **dict(self._request.named_folders)}
        used = {v.operation.name for v in graph.vertices.values() if isinstance(v.operation, LocalSource)}
        for name in sorted(used):
            if self._remotes.policy is not None:
                self._remotes.policy.local(name)
            ignore = self._ignore(folders[name])
            root = os.path.realpath(folders[name])
            self._contexts[name] = LocalContext(root, ignore, self._stat_index(root), DEFAULT_EPOCH)

    def _ignore(self, folder: str) -> Ignore | None:
        if folder not in self._ignores:
            self._ignores[folder] = self._definition.ignore(folder)
        return self._ignores[folder]

    def _hides(self, path: str) -> bool:
        """Whether the ignore file hides a path of the main context for certain."""
        ignore = self._ignore(self._definition.context)
        return ignore is not None and ignore.hides(path)

    def _stat_index(self, root: str) -> StatIndex:
        name = Digest.of(os.fsencode(root)).hex
        try:
            device = os.stat(root).st_dev
        except OSError as error:
            raise SourceFault(f"unable to prepare context: path {root!r}: {error.strerror}") from error
        stats = StatIndex(self._store.path("stats", name), device, time.time_ns())
        self._stats.append((stats, self._store.path("tmp", "stats-")))
        return stats

    def _save_stats(self) -> None:
        for stats, temp in self._stats:
            stats.save(temp)

    def _local_executor(self, trees: Trees) -> LocalExecutor:
        request = self._request
        surroundings = Surroundings(
            proxy=proxy_env(dict(request.build_args)),
            addresses=request.hosts,
            resolv_conf=resolv_conf(),
            mtime=DEFAULT_EPOCH,
            secrets=reader(request.secrets, os.environ),
            agents=self._agents.socket,
            shm_size=request.shm_size or DEFAULT_SHM_SIZE,
            limits=request.limits,
            warn=self._warn,
            devices=self._devices.given,
            unpack=self._unpack,
        )
        return LocalExecutor(
            self._store,
            trees,
            self._launch,
            self._contexts,
            self._remotes,
            self._codec,
            surroundings,
            self.emit,
            self.clock,
            self._remote.cancel,
        )

    def _open_snapshots(self) -> Snapshots:
        from builder.sandbox.stub import make_stub
        from builder.snapshot.snapshots import open_snapshots

        return open_snapshots(self._store.root, make_stub, self._warn)

    def _launch(self) -> Launcher:
        from builder.sandbox.launch import Launcher
        from builder.sandbox.seccomp import compiled

        return Launcher(compiled(self._store.root), self._warn)

    def _tell(self, finding: Warning) -> None:
        assert self._source is not None
        event = Warned(self._reading, line_note(finding), self.clock(), finding, self._source.data)
        self.told.append(event)
        self.emit(event)

    def _warn(self, text: str) -> None:
        self.emit(Warned(None, text, self.clock()))

    def _internal(self, what: str) -> Digest:
        name = f"[internal] {what}"
        digest = Digest.of(name.encode("utf-8", "surrogateescape"))
        self.emit(Started(digest, name, self.clock()))
        return digest

    def _done(self, digest: Digest) -> None:
        self.emit(Finished(digest, self.clock()))


def _warnings(programs: tuple[Program, ...]) -> tuple[Warning, ...]:
    """What was found for any platform, each finding once."""
    return tuple(dict.fromkeys(warning for program in programs for warning in program.warnings))


def _codec(outputs: Sequence[OutputSpec]) -> Codec:
    """The form that new layers are packed in: that of the first output, so that they need not be packed again."""
    for spec in outputs:
        if spec.compression:
            return codec(spec.compression, spec.level)
    return codec("gzip")


class _Memo:
    """Parsed files, kept in the store's index."""

    def __init__(self, store: Store) -> None:
        self._index = store.index

    def get(self, key: Digest) -> bytes | None:
        return self._index.memo("parse", key)

    def put(self, key: Digest, value: bytes) -> None:
        self._index.put_memo("parse", key, value)
