"""RUN: its command line, heredocs and mounts as one Exec (BuildKit's dispatchRun)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from msgspec.structs import replace

from builder.graph.operation import Exec, InlineFile, Mount
from cache.digest import Digest
from frontends.dockerfile import heredoc, paths
from frontends.dockerfile.devices import device
from frontends.dockerfile.fold import Fold
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import Command, Run
from frontends.dockerfile.mounts import MountSpec, mount_spec
from frontends.dockerfile.outline import Needed
from frontends.dockerfile.stepname import upper_keyword
from frontends.dockerfile.words import Expander, written
from frontends.errors import ExpansionFault, LowerFault

PIPES = "/dev/pipes"
_SECRET_MODE, _SSH_MODE, _CACHE_MODE = 0o400, 0o600, 0o755


def fold_run(fold: Fold, run: Run) -> None:
    """Add the step, its layer and its history entry. Raises LowerFault."""
    options = fold.shared.options
    _check_allowed(run, options.allow, options.network)
    expander = Expander(fold.env)
    try:
        specs = [mount_spec(fields, expander) for fields in run.mounts]
    finally:
        fold.report_missing(expander, run)
    inputs: list[Digest] = []
    mounts = tuple(_mount(fold, run, spec, inputs) for spec in _with_places(specs))
    words, files = _words(run.command)
    argv = fold.with_shell(words) if run.command.shell else words
    if not argv:
        raise LowerFault("arguments are required", "RUN [] has no command")
    if any("\0" in word for word in argv):
        raise LowerFault("RUN holds a NUL byte", "no argument of a program can hold one")
    operation = Exec(
        argv=argv,
        env=fold.exec_env,
        cwd=fold.workdir,
        user=fold.runtime.user,
        network=run.network if run.network != "default" else options.network,
        security=run.security,
        hostname=options.hostname,
        hosts=options.hosts,
        mounts=mounts,
        files=files,
        ulimits=options.ulimits,
        shm_size=options.shm_size,
        devices=tuple(device(text) for text in run.devices),
        rooted=fold.vertex is not None,
    )
    fold.step(operation, tuple(inputs), run, _display(fold, run, specs))
    fold.commit(f"RUN {_history(fold, argv)} # buildkit", layer=True)


def _check_allowed(run: Run, allowed: frozenset[str], network: str) -> None:
    if run.security == "insecure" and "security.insecure" not in allowed:
        raise LowerFault("security.insecure is not allowed", "give --allow security.insecure if you trust the step")
    if run.network == "host" and network != "host" and "network.host" not in allowed:
        raise LowerFault("network.host is not allowed", "give --allow network.host, or --network host")


def _words(command: Command) -> tuple[tuple[str, ...], tuple[InlineFile, ...]]:
    """What is run, and the files it needs."""
    if not command.documents:
        return command.words, ()
    line = command.words[0]
    if heredoc.mark(line) is None:
        bodies = "".join(f"\n{document.data}{document.name}" for document in command.documents)
        return (line + bodies,), ()
    document = command.documents[0]
    body = heredoc.chomp(document.data) if document.chomp else document.data
    if not body.startswith("#!"):
        return (body,), ()
    if "/" in document.name or document.name in (".", ".."):
        raise LowerFault(f"heredoc {quote(document.name)} cannot be the name of a file", "use a name without a slash")
    return (f"{PIPES}/{document.name}",), (InlineFile(name=document.name, data=body),)


def _history(fold: Fold, argv: tuple[str, ...]) -> str:
    arguments = [f"{name}={fold.env.get(name, value or '')}" for name, value in fold.arguments.items()]
    return " ".join([f"|{len(arguments)}", *arguments, *argv] if arguments else argv)


def _display(fold: Fold, run: Run, specs: list[MountSpec]) -> str:
    secrets = {spec.env: "****" for spec in specs if spec.kind == "secret" and spec.env}
    try:
        return upper_keyword(Expander({**fold.env, **secrets}, display=True).expand(run.display))
    except ExpansionFault:
        return upper_keyword(written(run.display))


def _with_places(specs: Iterable[MountSpec]) -> Iterable[tuple[int, MountSpec]]:
    """Each mount with the number of ssh mounts before it, which names its socket."""
    sockets = 0
    for spec in specs:
        yield sockets, spec
        sockets += spec.kind == "ssh"


def _mount(fold: Fold, run: Run, placed: tuple[int, MountSpec], inputs: list[Digest]) -> Mount:
    number, spec = placed
    if spec.kind == "secret":
        secret = _secret(fold, spec)
        fold.gathered.secrets.setdefault(secret.id, Needed(secret.id, spec.required, run.lines))
        return secret
    if spec.kind == "ssh":
        target = paths.join(fold.workdir, spec.target or f"/run/buildkit/ssh_agent.{number}")
        mode = _SSH_MODE if spec.mode is None else spec.mode
        name = spec.id or "default"
        fold.gathered.agents.setdefault(name, Needed(name, spec.required, run.lines))
        return Mount(
            kind="ssh", target=target, id=name, mode=mode, uid=spec.uid or 0, gid=spec.gid or 0,
            required=spec.required,
        )  # fmt: skip
    target = paths.join(fold.workdir, spec.target)
    if target == "/":
        raise LowerFault(f"invalid mount target {quote(target)}")
    if spec.kind == "tmpfs":
        return Mount(kind="tmpfs", target=target, readonly=spec.readonly or False, size=spec.size)
    source = paths.clean(spec.source)
    at = _input(fold, run, spec, inputs)
    if spec.kind == "bind":
        return Mount(kind="bind", target=target, input=at, source=source, readonly=spec.readonly is not False)
    cache = Mount(
        kind="cache",
        target=target,
        input=at,
        source=source,
        readonly=spec.readonly or False,
        id=_cache_id(fold, spec),
        sharing=spec.sharing or "shared",
        mode=_CACHE_MODE if spec.mode is None else spec.mode,
        uid=spec.uid or 0,
        gid=spec.gid or 0,
    )
    return _with_first_content(cache, (spec.mode, spec.uid, spec.gid) != (None, None, None))


def _with_first_content(cache: Mount, owned: bool) -> Mount:
    """One that begins with a tree has that one's mode and owner; with its own it begins empty (dispatchRunMounts).

    A source without a tree is a folder of the cache, which is plain.
    """
    if cache.input is None:
        return cache if cache.source == "/" else replace(cache, mode=_CACHE_MODE, uid=0, gid=0)
    if owned and cache.source == "/":
        return replace(cache, input=None)
    return replace(cache, mode=-1, uid=-1, gid=-1)


def _cache_id(fold: Fold, spec: MountSpec) -> str:
    name = spec.id or re.sub("^//", "/", posixpath.normpath(spec.target))
    space = fold.shared.options.build_args.get("BUILDKIT_CACHE_MOUNT_NS", "")
    return f"{space}\0{name}" if space else name  # no id holds a NUL, so none means the cache of another namespace


def _input(fold: Fold, run: Run, spec: MountSpec, inputs: list[Digest]) -> int | None:
    """The index among the vertex's inputs of the tree that a mount shows, None for an empty one."""
    if not spec.source_stage and spec.kind == "cache":
        return None
    late = (
        f"cannot mount from stage {quote(spec.source_stage)} to {quote(spec.target)}, "
        "stage needs to be defined before current command"
    )
    tree = fold.shared.tree(spec.source_stage, fold.shared.stages.find(spec.source_stage), run.lines, late)
    if tree is None:
        return None
    if tree not in inputs:
        inputs.append(tree)
    return inputs.index(tree) + (fold.vertex is not None)


def _secret(fold: Fold, spec: MountSpec) -> Mount:
    name = spec.source or spec.id or posixpath.basename(spec.target)
    if spec.env == "":
        raise LowerFault(f"secret {name}: env names no variable", "write env=NAME")
    target = spec.target
    if spec.env is None and not target:
        target = f"/run/secrets/{posixpath.basename(name)}"
    target = paths.join(fold.workdir, target) if target else ""
    return Mount(
        kind="secret",
        target=target,
        id=name,
        mode=_SECRET_MODE if spec.mode is None else spec.mode,
        uid=spec.uid or 0,
        gid=spec.gid or 0,
        required=spec.required,
        env=spec.env or "",
    )
