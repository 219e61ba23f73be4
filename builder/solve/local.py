"""LocalExecutor: does the work of a Task on this machine, in the thread that calls it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import msgspec

from builder.errors import BuildFault, Canceled, StepFault
from builder.graph.event import Event, Log
from builder.graph.inputs import selections
from builder.graph.operation import Copy, Device, Exec, InlineFile, LocalSource, MakeDir, RemoteSource
from builder.layer.codec import Codec
from builder.layer.entry import Entry, Item
from builder.layer.layer import Layer
from builder.layer.pack import pack
from builder.layer.tree import Tree
from builder.sandbox.spec import DEFAULT_SHM_SIZE, Cgroup, Given, Limits, OverlayRoot, PlainRoot, SandboxSpec
from builder.sandbox.stepcgroup import StepCgroup
from builder.solve.cachemounts import CacheMounts
from builder.solve.copying import Source, place
from builder.solve.executor import Stack, Task
from builder.solve.folders import make_folders
from builder.solve.placement import EmptyTree
from builder.solve.select import Selected, select, selection_digest
from builder.solve.sshforward import Agents
from builder.solve.stepmounts import Found, Secrets, StepMounts
from builder.solve.stratum import Stratum
from builder.solve.trees import Trees
from builder.source.context import LocalContext
from builder.source.sourcetree import SourceTree
from cache import record
from cache.digest import Digest
from cache.store import Store

if TYPE_CHECKING:
    from builder.sandbox.launch import Launcher
    from builder.source.remotes import Remotes

_PACKERS = 2  # layers packed at once: each keeps all cores busy, more would only hold memory


def _nothing(name: str) -> None:
    return None


def _no_devices(wanted: tuple[Device, ...]) -> Given:
    return Given()


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What every step of a build is given and no key holds.

    proxy: `NAME=value` of the predefined proxy arguments. addresses: of the names of --add-host. resolv_conf: text
    of /etc/resolv.conf. mtime: seconds, of every file that the builder itself makes or takes from a client folder.
    secrets: values of --secret. agents: sockets of --ssh. shm_size: bytes of /dev/shm. limits: --resource and
    --cgroup-parent. warn: of limits that cannot be kept. devices: what those of RUN --device add to a step.
    """

    proxy: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    resolv_conf: str = ""
    mtime: int = 0
    secrets: Secrets = _nothing
    agents: Agents = _nothing
    shm_size: int = DEFAULT_SHM_SIZE
    limits: Limits = Limits()
    warn: Callable[[str], None] = _nothing
    devices: Callable[[tuple[Device, ...]], Given] = _no_devices


class LocalExecutor:
    """launch: starts the sandbox helper; called at most once, by prepare(), when the first command is to run.

    contexts: the client's folders by name. remotes: what lies elsewhere.
    also_cancel: called by cancel(), for what threads may wait for elsewhere.
    """

    def __init__(
        self,
        store: Store,
        trees: Trees,
        launch: Callable[[], Launcher],
        contexts: dict[str, LocalContext],
        remotes: Remotes,
        codec: Codec,
        surroundings: Surroundings,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        also_cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self._also_cancel = also_cancel
        self._store = store
        self._trees = trees
        self._launch = launch
        self._launcher: Launcher | None = None
        self._contexts = contexts
        self._remotes = remotes
        self._codec = codec
        self._surroundings = surroundings
        self._emit = emit
        self._clock = clock
        self._packers = threading.Semaphore(_PACKERS)
        self._canceled = threading.Event()
        self._caches = CacheMounts(store.path("caches"), self._canceled.is_set)
        self._cgroups = _cgroups(surroundings)
        self._selected: dict[Digest, Found] = {}

    def cancel(self) -> None:
        self._canceled.set()
        self._remotes.cancel()
        self._also_cancel()
        if self._launcher is not None:
            self._launcher.kill_all()

    def close(self) -> None:
        if self._launcher is not None:
            self._launcher.close()

    def prepare(self, task: Task) -> None:
        if self._launcher is None and isinstance(task.vertex.operation, Exec):
            self._launcher = self._launch()

    def identify(self, source: RemoteSource) -> Digest:
        return self._remotes.identify(source)

    def measure(self, task: Task) -> tuple[Digest, ...]:
        found = self._select(task)
        self._selected[task.digest] = found
        return tuple(_content_digest(tree, selected) for tree, selected in found)

    def perform(self, task: Task) -> Callable[[], Layer]:
        if self._canceled.is_set():
            raise Canceled("canceled")
        operation = task.vertex.operation
        if isinstance(operation, Exec):
            return self._exec(task, operation)
        if isinstance(operation, Copy):
            return self._copy(task, operation)
        if isinstance(operation, MakeDir):
            items = make_folders(self._tree(task.below), operation, self._surroundings.mtime)
            return self._listed(task, items)
        raise BuildFault(f"cannot perform {type(operation).__name__}")

    def _exec(self, task: Task, operation: Exec) -> Callable[[], Layer]:
        found = self._selected.pop(task.digest, None) or self._select(task)
        draft = self._trees.begin(task.below)
        try:
            assert self._launcher is not None
            with self._step_mounts() as given, self._cgroups() as cgroup:
                given.open(task, operation, found)
                status = self._launcher.run(
                    self._spec(operation, draft.root, given, cgroup.joined),
                    lambda data: self._emit(Log(task.digest, bytes(data), self._clock())),
                )
                starved = (status.failure or status.exit_code) and cgroup.out_of_memory()
            if self._canceled.is_set():
                raise Canceled("canceled")
            if starved:
                hint = f"the memory limit of the step was reached (exit code: {status.exit_code})"
                raise StepFault(_failed(operation, "cannot allocate memory"), task.digest, exit_status=137, hint=hint)
            if status.failure:
                raise StepFault(_failed(operation, status.failure), task.digest, hint=status.hint)
            if status.exit_code:
                text = f"exit code: {status.exit_code}"
                raise StepFault(_failed(operation, text), task.digest, exit_status=status.exit_code)
            folder = draft.commit()
        except BaseException:
            draft.discard()
            raise
        stratum = _stratum(task)
        stratum.folder = folder

        def finish() -> Layer:
            layer = self._pack(draft.changes())
            self._trees.keep(task.below, layer, folder)
            return layer

        return finish

    def _step_mounts(self) -> StepMounts:
        given = self._surroundings
        return StepMounts(self._trees, self._caches, given.secrets, given.agents, self._store.path("tmp"))

    def _spec(
        self, operation: Exec, root: OverlayRoot | PlainRoot, mounts: StepMounts, cgroups: tuple[Cgroup, ...]
    ) -> SandboxSpec:
        given = self._surroundings
        hosts = "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        hosts += "".join(f"{address}\t{name}\n" for name, address in given.addresses)
        names = {pair.partition("=")[0] for pair in operation.env}
        devices = given.devices(operation.devices)
        return SandboxSpec(
            root=root,
            argv=operation.argv,
            env=(
                *operation.env,
                *(p for p in given.proxy if p.partition("=")[0] not in names),
                *mounts.env,
                *devices.env,
            ),
            cwd=operation.cwd,
            user=operation.user,
            hostname=operation.hostname,
            network=operation.network,
            hosts=hosts,
            resolv_conf=given.resolv_conf,
            mounts=(*mounts.mounts, *devices.nodes, *devices.mounts),
            shm_size=given.shm_size,
            ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in operation.ulimits),
            cgroups=cgroups,
            insecure=operation.security == "insecure",
        )

    def _copy(self, task: Task, operation: Copy) -> Callable[[], Layer]:
        found = self._selected.pop(task.digest, None) or self._select(task)
        base = self._tree(task.below)
        sources: list[Source] = []
        left = iter(found)
        for word in operation.sources:
            if isinstance(word, InlineFile):
                sources.append(word)
            else:
                tree, selected = next(left)
                sources += [(tree, one) for one in selected]
        return self._listed(task, place(base, operation, sources, self._surroundings.mtime))

    def _listed(self, task: Task, items: Iterable[Item]) -> Callable[[], Layer]:
        """Pack now, since the layer's list of entries is what later steps look at."""
        stratum = _stratum(task)
        listing: list[Entry] = []
        layer = self._pack(items, listing)
        stratum.listing = listing
        stratum.pack_done(layer)
        return lambda: layer

    def _pack(self, items: Iterable[Item], listing: list[Entry] | None = None) -> Layer:
        with self._packers:
            if self._canceled.is_set():
                raise Canceled("canceled")
            with self._store.blobs.writer() as sink:
                return pack(items, self._codec, sink, None if listing is None else listing.append)

    def _select(self, task: Task) -> Found:
        operation = task.vertex.operation
        exclude = operation.exclude if isinstance(operation, Copy) else ()
        found = []
        for selection in selections(operation):
            tree = self._source(task, selection.input)
            found.append((tree, select(tree, selection, exclude)))
        return found

    def _source(self, task: Task, index: int) -> Tree:
        digest = task.vertex.inputs[index]
        operation = task.files.get(digest)
        if operation is None:
            return self._tree(task.reads[digest])
        return self._contexts[operation.name] if isinstance(operation, LocalSource) else self._remotes.tree(operation)

    def _tree(self, stack: Stack) -> Tree:
        return self._trees.view(stack) if stack else EmptyTree()


def _cgroups(given: Surroundings) -> Callable[[], AbstractContextManager[StepCgroup]]:
    """What gives a step its cgroup, or nothing where no limit is asked for."""
    if given.limits == Limits():
        return lambda: nullcontext(StepCgroup())
    from builder.sandbox.cgroup import Cgroups

    return Cgroups(given.limits, given.warn).step


def _content_digest(tree: Tree, selected: list[Selected]) -> Digest:
    """What a selection has in a step's key. The dates of remote files are in the layer, and are not all the same."""
    digest = selection_digest(selected, functools.partial(_file_digest, tree))
    dated = tree.dated if isinstance(tree, SourceTree) else None
    return digest if dated is None else record.digest((digest, dated))


def _file_digest(tree: Tree, entry: Entry) -> str:
    if isinstance(tree, SourceTree):
        return tree.digest(entry.path)
    import hashlib

    hasher = hashlib.sha256()
    for chunk in tree.content(entry.path).chunks():
        hasher.update(chunk)
    return hasher.hexdigest()


def _stratum(task: Task) -> Stratum:
    assert task.stratum is not None
    return task.stratum


def _failed(operation: Exec, what: str) -> str:
    return f'process "{" ".join(operation.argv)}" did not complete successfully: {what}'
