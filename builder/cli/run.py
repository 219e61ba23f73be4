"""`lapstrake run`: a command in an image, in the sandbox of build steps, on a layer that is thrown away."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import msgspec

from builder.cli import container
from builder.cli.opened import opened
from builder.cli.resolvconf import resolv_conf
from builder.errors import Canceled, ImageFault, SourceFault
from builder.images.image import Image
from builder.images.reach import reach
from builder.images.uses import mark_used
from builder.progress.clean import clean
from builder.sandbox.spec import BindMount, Mount, PlainRoot, SandboxSpec, TmpfsMount
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.sandbox.launch import ExitStatus
    from builder.solve.trees import Stack, Trees

_FAILED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127
_HELP = """Run a command in an image of the local store, to try it or to test it.

What the command writes is thrown away. Its exit status is ours; 125: it was not started, 126: it cannot be executed,
127: it is not there. It shares this machine's network unless --network=none.

A folder given with -v is as writable as it is to you: whatever runs in the image may change it, unless :ro is given.

\b
Examples:
  lapstrake run app:1
  lapstrake run -it --entrypoint sh app:1
  lapstrake run --network none -v ./data:/data:ro -e MODE=check app:1 /bin/check
"""


@click.command("run", help=_HELP, context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="IMAGE")
@click.argument("words", metavar="[COMMAND]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--rm", is_flag=True, help="Always so: nothing is left.")
@click.option("-e", "--env", "env", multiple=True, metavar="NAME[=VALUE]", help="Set an environment variable.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Set those of a file.")
@click.option("-v", "--volume", "volumes", multiple=True, metavar="SRC:DST[:ro]", help="Show a file or folder inside.")
@click.option("-w", "--workdir", default="", metavar="FOLDER", help="Working directory.")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User by name or number.")
@click.option("--entrypoint", default=None, metavar="WORD", help="Instead of the image's entrypoint and command.")
@click.option("--network", type=click.Choice(["host", "none"]), default="host", show_default=True, help="Which one.")
@click.option("-h", "--hostname", default="", metavar="NAME", help="Name of the machine inside.")
@click.option("-i", "--interactive", is_flag=True, help="Hand on standard input.")
@click.option("-t", "--tty", "terminal", is_flag=True, help="Give the command a terminal.")
@click.option("--init", is_flag=True, help="Always so: zombies are reaped.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    words: tuple[str, ...],
    rm: bool,
    env: tuple[str, ...],
    env_files: tuple[str, ...],
    volumes: tuple[str, ...],
    workdir: str,
    user: str,
    entrypoint: str | None,
    network: str,
    hostname: str,
    interactive: bool,
    terminal: bool,
    init: bool,
) -> int:
    try:
        if interactive and terminal and not os.isatty(0):
            raise SourceFault("the input device is not a TTY", "leave out -t")
        wish = container.Wish(
            command=words,
            env=container.given_env(env, env_files, os.environ),
            workdir=workdir,
            user=user,
            entrypoint=entrypoint,
            terminal=terminal,
        )
        binds = tuple(container.bind(text) for text in volumes)
        return _run(ctx, name, wish, binds, network, hostname or container.new_hostname(), interactive)
    except Canceled:
        raise
    except Fault as error:
        error.exit_code = _FAILED
        raise


def _run(
    ctx: click.Context,
    name: str,
    wish: container.Wish,
    binds: tuple[BindMount, ...],
    network: str,
    hostname: str,
    interactive: bool,
) -> int:
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
        stored = images.resolve(name)
        if stored is None:
            raise ImageFault(f"No such image: {name}", "lapstrake images lists what there is")
        mark_used(store.leases, stored.descriptor.digest)
        store.blobs.hold(*reach(store.blobs, stored.descriptor))
        image = images.load(stored.descriptor)
        trees = Trees(
            lambda: open_snapshots(store.root, make_stub, _warn), store.blobs, _warn, unpack_limits(os.environ)
        )
        stack = tuple(Stratum(layer) for layer in image.layers)
        try:
            missing = [path for path in image.config.runtime.volumes if _is_missing(trees, stack, path)]
            draft = trees.begin(stack)
            launcher = Launcher(compiled(store.root), _warn)
            try:
                mounts: tuple[Mount, ...] = (*(TmpfsMount(path, mode=0o755) for path in missing), *binds)
                spec = msgspec.structs.replace(_spec(image, wish, network, hostname), root=draft.root, mounts=mounts)
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


def _spec(image: Image, wish: container.Wish, network: str, hostname: str) -> SandboxSpec:
    config = image.config.runtime
    return SandboxSpec(
        root=PlainRoot("/"),
        argv=container.argv(config, wish),
        env=container.environment(config, wish, hostname),
        cwd=wish.workdir or config.workdir or "/",
        user=wish.user or config.user,
        hostname=hostname,
        network=network,
        hosts=f"127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        resolv_conf=resolv_conf(),
        terminal=wish.terminal,
    )


def _is_missing(trees: Trees, stack: Stack, path: str) -> bool:
    return not stack or trees.view(stack).lookup(os.fsencode(os.path.normpath(path)).strip(b"/")) is None


def _status_of(status: ExitStatus) -> int:
    """Docker's statuses of a command that did not start."""
    if not status.failure.startswith("exec: "):
        return status.exit_code if status.exit_code > _NOT_FOUND else _FAILED
    missing = "not found" in status.failure or "no such file" in status.failure
    return _NOT_FOUND if missing else _NOT_EXECUTABLE


def _warn(text: str, hint: str = "", word: str = "WARNING") -> None:
    click.echo(f"{word}: {clean(text)}", err=True)
    if hint:
        click.echo(f"hint: {clean(hint)}", err=True)
