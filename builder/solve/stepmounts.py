"""What RUN --mount shows a step: borrowed trees, caches, secrets, sockets; given back when the step has ended."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec

from builder.errors import BuildFault
from builder.graph.operation import Exec, Mount
from builder.layer.entry import Content, Item, Kind
from builder.layer.tree import Tree
from builder.sandbox.spec import BindMount, FileMount, TmpfsMount, TreeMount
from builder.sandbox.spec import Mount as SandboxMount
from builder.solve.cachemounts import CacheMounts
from builder.solve.executor import Task
from builder.solve.select import Selected
from builder.solve.sshforward import SshForward
from builder.solve.surroundings import Agents, Secrets
from builder.solve.trees import Trees
from builder.source.sourcetree import SourceTree
from cache.digest import Digest

PIPES = "/dev/pipes"
_SCRIPT_MODE = 0o755
_FOLDER_MODE = 0o755

Found = list[tuple[Tree, list[Selected]]]
"""What the selections of a vertex found, in order."""


class StepMounts:
    """Of one step; use as a context manager. mounts: for the sandbox. env: variables that secrets set."""

    def __init__(
        self,
        trees: Trees,
        caches: CacheMounts,
        secrets: Secrets,
        agents: Agents,
        scratch: str,
        source: Callable[[Task, int], Tree],
    ) -> None:
        """source: the tree of an input of a task, whether it has layers or comes from outside."""
        self._trees, self._caches, self._secrets, self._source = trees, caches, secrets, source
        self._agents, self._scratch = agents, scratch
        self._stack = ExitStack()
        self.mounts: list[SandboxMount] = []
        self.env: list[str] = []

    def __enter__(self) -> StepMounts:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, task: Task, operation: Exec, found: Found) -> None:
        """Make everything ready. Raises BuildFault for a secret that must be there and is not."""
        left = iter(found)
        caches = self._open_caches(task, operation)
        for mount in operation.mounts:
            if mount.kind == "bind":
                self.mounts.append(self._bind(task, mount, left))
            elif mount.kind == "cache":
                path = caches[self._caches.name(mount, _base(task, mount))]
                part = mount.source if mount.input is None and mount.source != "/" else ""
                self.mounts.append(BindMount(path, mount.target, path=part, readonly=mount.readonly))
            elif mount.kind == "tmpfs":
                self.mounts.append(TmpfsMount(mount.target, size=mount.size, readonly=mount.readonly))
            elif mount.kind == "secret":
                self._secret(mount)
            else:
                self._ssh(mount, operation)
        for file in operation.files:
            data = file.data.encode("utf-8", "surrogateescape")
            self.mounts.append(FileMount(f"{PIPES}/{file.name}", data, mode=_SCRIPT_MODE, executable=True))
        self.mounts.sort(key=lambda mount: posixpath.normpath(mount.target).count("/"))  # none hides one within it

    def _bind(self, task: Task, mount: Mount, found: Iterator[tuple[Tree, list[Selected]]]) -> SandboxMount:
        if mount.input is None:
            return TmpfsMount(mount.target, mode=_FOLDER_MODE, readonly=mount.readonly)
        tree, selected = next(found)
        source = task.vertex.inputs[mount.input]
        if source not in task.files:
            loan = self._trees.borrow(task.reads[source])
            self._stack.callback(loan.discard)
            return TreeMount(loan.root, mount.target, mount.source, mount.readonly)
        assert isinstance(tree, SourceTree)
        gathered = self._trees.gather(_client_files(tree, selected[0]))
        self._stack.callback(gathered.discard)
        path = "" if selected[0].is_dir else _FILE.decode()
        return TreeMount(gathered.root, mount.target, path, mount.readonly)

    def _open_caches(self, task: Task, operation: Exec) -> dict[str, str]:
        """Name of each cache -> its folder. In order of the names: two steps that wait for each other never end."""
        wanted = {self._caches.name(m, _base(task, m)): m for m in reversed(operation.mounts) if m.kind == "cache"}
        paths = {}
        for name in sorted(wanted):
            mount = wanted[name]
            base = _base(task, mount)

            def fill(path: str, index: int | None = mount.input, source: str = mount.source) -> None:
                if index is not None:
                    self._trees.write(self._source(task, index), source, path)

            paths[name] = self._stack.enter_context(self._caches.folder(mount, base, fill))
        return paths

    def _secret(self, mount: Mount) -> None:
        value = self._secrets(mount.id)
        if value is None:
            if mount.required:
                raise BuildFault(f"secret {mount.id}: not found", f"give it with --secret id={mount.id},src=FILE")
            if mount.env:
                self.env.append(f"{mount.env}=")  # llbsolver's loadSecretEnv
            return
        if mount.env:
            if b"\0" in value:
                raise BuildFault(f"secret {mount.id} holds a NUL byte, which no environment variable can")
            self.env.append(f"{mount.env}={os.fsdecode(value)}")
        if mount.target:
            self.mounts.append(FileMount(mount.target, value, mount.mode, mount.uid, mount.gid))

    def _ssh(self, mount: Mount, operation: Exec) -> None:
        if not any(pair.startswith("SSH_AUTH_SOCK=") for pair in (*self.env, *operation.env)):
            self.env.append(f"SSH_AUTH_SOCK={mount.target}")  # the first one's, also without an agent (llb's ExecOp)
        agent = self._agents(mount.id)
        if agent is None:
            if mount.required:
                raise BuildFault(f"unset ssh forward key {mount.id}", f"give it with --ssh {mount.id}")
            return
        forward = SshForward(agent, self._scratch, mount.mode, mount.uid, mount.gid)
        self._stack.callback(forward.close)
        self.mounts.append(BindMount(forward.path, mount.target, readonly=False))


_FILE = b"file"


def _base(task: Task, mount: Mount) -> Digest | None:
    """The vertex that a cache is filled from at first."""
    return None if mount.input is None else task.vertex.inputs[mount.input]


def _client_files(context: SourceTree, selected: Selected) -> Iterator[Item]:
    """Files of the client with the times that they have there: tools compare them with what they kept in caches."""
    for entry in selected.members:
        path = selected.below(entry.path) if selected.is_dir else _FILE
        link = selected.below(entry.link) if entry.kind is Kind.HARDLINK else entry.link
        content: Content | None = context.content(entry.path) if entry.kind is Kind.FILE else None
        yield msgspec.structs.replace(entry, path=path, link=link, mtime=context.modified(entry.path)), content
