"""Commands: runs the commands of a build's steps, each in a sandbox on a tree of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from builder.errors import Canceled, StepFault
from builder.graph.event import Event, Log
from builder.graph.operation import Exec
from builder.layer.tree import Tree
from builder.sandbox.spec import DEFAULT_SHM_SIZE, Cgroup, Limits, OverlayRoot, PlainRoot, SandboxSpec
from builder.sandbox.stepcgroup import StepCgroup
from builder.solve.cachemounts import CacheMounts
from builder.solve.executor import Task
from builder.solve.stepmounts import Found, StepMounts
from builder.solve.surroundings import Surroundings
from builder.solve.trees import Trees
from builder.solve.way import StepOutput, Way
from cache.store import Store

if TYPE_CHECKING:
    from builder.sandbox.launch import Launcher
    from builder.snapshot.snapshots import Draft, Folder

_SHOWN = 4000  # characters of a command that an error shows at most


class Commands:
    """To be made in a thread that lives as long as the build: see Launcher. Safe for many threads."""

    def __init__(
        self,
        store: Store,
        trees: Trees,
        launcher: Launcher,
        surroundings: Surroundings,
        canceled: Callable[[], bool],
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        source: Callable[[Task, int], Tree],
    ) -> None:
        self._trees, self._source = trees, source
        self._launcher = launcher
        self._surroundings = surroundings
        self._canceled = canceled
        self._emit, self._clock = emit, clock
        self._temp = store.path("tmp")
        self._caches = CacheMounts(store.path("caches"), canceled, surroundings.restore)
        self._cgroups = _cgroups(surroundings)

    def cancel(self) -> None:
        self._launcher.kill_all()

    def close(self) -> None:
        self._launcher.close()

    def run(self, task: Task, operation: Exec, found: Found) -> tuple[Draft, Folder]:
        """Run one command to its end; its tree, committed. Raises StepFault, Canceled."""
        draft = self._trees.begin(task.below)
        try:
            output = StepOutput(lambda data: self._emit(Log(task.digest, data, self._clock())))
            with (
                self._step_mounts() as given,
                self._cgroups() as cgroup,
                self._way(task, operation, draft.root, output) as way,
            ):
                given.open(task, operation, found)
                status = self._launcher.run(self._spec(operation, way, given, cgroup.joined), output, way.serve)
                starved = (status.failure or status.exit_code) and cgroup.out_of_memory()
            if self._canceled():
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
        return draft, folder

    def _step_mounts(self) -> StepMounts:
        given = self._surroundings
        return StepMounts(self._trees, self._caches, given.secrets, given.agents, self._temp, self._source)

    def _way(
        self, task: Task, operation: Exec, root: OverlayRoot | PlainRoot, output: StepOutput
    ) -> AbstractContextManager[Way]:
        if self._surroundings.recording is None or operation.network == "none":
            return nullcontext(Way(root, operation.network))
        from builder.solve.proxied import proxied

        return proxied(task, operation, root, self._trees, self._surroundings, output)

    def _spec(self, operation: Exec, way: Way, mounts: StepMounts, cgroups: tuple[Cgroup, ...]) -> SandboxSpec:
        given = self._surroundings
        hosts = "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        hosts += "".join(f"{address}\t{name}\n" for name, address in given.addresses)
        names = {pair.partition("=")[0] for pair in operation.env}
        devices = given.devices(operation.devices)
        return SandboxSpec(
            root=way.root,
            argv=operation.argv,
            env=(
                *operation.env,
                *(p for p in given.proxy if p.partition("=")[0] not in names),
                *mounts.env,
                *devices.env,
                *way.env,
            ),
            cwd=operation.cwd,
            user=operation.user,
            hostname=operation.hostname,
            network=way.network,
            listen=way.listen,
            hosts=hosts,
            resolv_conf=given.resolv_conf,
            mounts=(*mounts.mounts, *devices.nodes, *devices.mounts),
            shm_size=operation.shm_size or DEFAULT_SHM_SIZE,
            ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in operation.ulimits),
            cgroups=cgroups,
            insecure=operation.security == "insecure",
        )


def _cgroups(given: Surroundings) -> Callable[[], AbstractContextManager[StepCgroup]]:
    """What gives a step its cgroup, or nothing where no limit is asked for."""
    if given.limits == Limits():
        return lambda: nullcontext(StepCgroup())
    from builder.sandbox.cgroup import Cgroups

    return Cgroups(given.limits, given.warn).step


def _failed(operation: Exec, what: str) -> str:
    from builder.graph.gostring import quote

    words = " ".join(operation.argv)
    words = words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
    return f"process {quote(words)} did not complete successfully: {what}"
