"""`lapstrake run`: a command in an image, in the sandbox of build steps, on a layer that is thrown away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from builder.cli import container, volumes
from builder.cli.attach import window
from builder.cli.opened import opened
from builder.cli.refetch import with_refetch
from builder.cli.request import byte_count, host_entry, ulimit
from builder.cli.resolvconf import resolv_conf
from builder.cli.runflags import NOT_STARTED, RunFlags, run_options
from builder.cli.runimage import Wanted, image_for
from builder.errors import Canceled, SourceFault
from builder.images.image import Image
from builder.images.reach import reach
from builder.images.uses import mark_used
from builder.layer.entry import Kind
from builder.oci.platform import Platform
from builder.progress.clean import clean
from builder.sandbox.spec import DEFAULT_SHM_SIZE, Mount, OwnMount, PlainRoot, SandboxSpec, TmpfsMount
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.sandbox.launch import ExitStatus
    from builder.solve.trees import Stack, Trees

_SYSTEM = ("proc", "sys", "dev")
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_HELP = """Run a command in an image, to try it or to test it.

What the command writes is thrown away. Its exit status is ours; 125: it was not started, 126: it cannot be executed,
127: it is not there. It shares this machine's network unless --network=none: what it listens on is reached as it is,
and no port need be published. An image that is not here is pulled.

A folder given with -v is as writable as it is to you: whatever runs in the image may change it, unless :ro is given.

\b
Examples:
  lapstrake run app:1
  lapstrake run -it --entrypoint sh app:1
  lapstrake run --read-only --tmpfs /run --env-file test.env app:1
  lapstrake run --network none -v ./data:/data:ro -e MODE=check app:1 /bin/check
"""


@click.command("run", help=_HELP, context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="IMAGE")
@click.argument("words", metavar="[COMMAND]...", nargs=-1, type=click.UNPROCESSED)
@run_options
@click.pass_context
def command(ctx: click.Context, /, name: str, words: tuple[str, ...], **given: Any) -> int:
    flags = RunFlags(**given)
    try:
        wish = _wish(words, flags)
        platform = Platform.parse(flags.platform) if flags.platform else None
        return _run(ctx, Wanted(name, flags.policy, platform, flags.quiet), wish, flags.interactive)
    except Canceled:
        raise
    except Fault as error:
        error.exit_code = NOT_STARTED
        raise


def _wish(words: tuple[str, ...], flags: RunFlags) -> container.Wish:
    """words: the command. Raises Fault for what cannot be read or meant."""
    if flags.interactive and flags.terminal and not os.isatty(0):
        raise SourceFault("the input device is not a TTY", "leave out -t")
    container.check_name(flags.label)
    binds, memory = map(volumes.bind, flags.volumes), map(volumes.tmpfs, flags.tmpfs)
    return container.Wish(
        command=words,
        env=container.given_env(flags.env, flags.env_files, os.environ),
        workdir=flags.workdir,
        user=flags.user,
        entrypoint=flags.entrypoint,
        terminal=flags.terminal,
        hostname=flags.hostname or container.new_hostname(),
        network=flags.network,
        hosts=tuple(host_entry(host) for host in flags.hosts),
        mounts=(*binds, *memory, *map(volumes.mount, flags.mounts)),
        shm_size=byte_count("--shm-size", flags.shm_size) if flags.shm_size else DEFAULT_SHM_SIZE,
        ulimits=tuple(map(ulimit, flags.ulimits)),
        readonly=flags.readonly,
    )


def _run(ctx: click.Context, wanted: Wanted, wish: container.Wish, interactive: bool) -> int:
    from builder.cli.attach import with_pipes, with_terminal
    from builder.cli.bounds import unpack_limits
    from builder.sandbox import namespace
    from builder.sandbox.launch import Launcher
    from builder.sandbox.seccomp import compiled
    from builder.sandbox.stub import make_stub
    from builder.snapshot.snapshots import open_snapshots
    from builder.solve.stratum import Stratum
    from builder.solve.trees import Trees

    namespace.enter()
    with opened(ctx) as (store, images), store.using():
        stored, image = image_for(wanted, store, images)
        mark_used(store.leases, stored.descriptor.digest)
        store.blobs.hold(*reach(store.blobs, stored.descriptor))
        trees = Trees(
            lambda: open_snapshots(store.root, make_stub, _warn), store.blobs, _warn, unpack_limits(os.environ)
        )
        stack = tuple(Stratum(layer) for layer in image.layers)
        try:
            paths = image.config.runtime.volumes
            own, draft = with_refetch(
                store, lambda: (tuple(_volumes(trees, stack, paths, wish.readonly)), trees.begin(stack))
            )
            launcher = Launcher(compiled(store.root), _warn)
            try:
                spec = msgspec.structs.replace(_spec(image, wish), root=draft.root, mounts=(*own, *wish.mounts))
                talk = with_terminal if wish.terminal else with_pipes
                status = talk(lambda streams: launcher.attach(spec, streams), interactive)
            finally:
                launcher.close()
                draft.discard()
        finally:
            trees.close()
    if not status.failure:
        return status.exit_code
    _warn(status.failure, status.hint, "ERROR")
    return _status_of(status)


def _spec(image: Image, wish: container.Wish) -> SandboxSpec:
    config = image.config.runtime
    return SandboxSpec(
        root=PlainRoot("/"),
        argv=container.argv(config, wish),
        env=container.environment(config, wish),
        cwd=wish.workdir or config.workdir or "/",
        user=wish.user or config.user,
        hostname=wish.hostname,
        network=wish.network,
        hosts=container.hosts_file(wish),
        resolv_conf=resolv_conf(),
        shm_size=wish.shm_size,
        ulimits=tuple((one.name, one.soft, one.hard) for one in wish.ulimits),
        terminal=window() if wish.terminal else None,
        readonly=wish.readonly,
    )


def _volumes(trees: Trees, stack: Stack, paths: tuple[str, ...], readonly: bool) -> Iterator[Mount]:
    """A VOLUME is the image's folder, thrown away like all else and always writable; an empty one if it has none."""
    for path in paths:
        if os.path.normpath(f"/{path}").split("/")[1] in _SYSTEM:
            continue  # has mounts of its own
        entry = trees.view(stack).lookup(os.fsencode(os.path.normpath(path)).strip(b"/")) if stack else None
        if entry is None:
            yield TmpfsMount(path, mode=0o755)
        elif readonly and entry.kind is Kind.DIR:
            yield OwnMount(path)


def _status_of(status: ExitStatus) -> int:
    """Docker's statuses of a command that did not start."""
    if not status.failure.startswith("exec: "):
        return status.exit_code if status.exit_code > _NOT_FOUND else NOT_STARTED
    missing = "not found" in status.failure or "no such file" in status.failure
    return _NOT_FOUND if missing else _NOT_EXECUTABLE


def _warn(text: str, hint: str = "", word: str = "WARNING") -> None:
    click.echo(f"{word}: {clean(text)}", err=True)
    if hint:
        click.echo(f"hint: {clean(hint)}", err=True)
