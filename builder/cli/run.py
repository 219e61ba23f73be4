"""`lapstrake run`: a command in an image, in the sandbox of build steps, on a layer that is thrown away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from builder.cli import container
from builder.cli import volumes as volume
from builder.cli.attach import window
from builder.cli.opened import opened
from builder.cli.refetch import with_refetch
from builder.cli.request import byte_count, host_entry, ulimit
from builder.cli.resolvconf import resolv_conf
from builder.cli.runimage import POLICIES, Wanted, image_for
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
_FAILED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127
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


def _refused(why: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """For options of Docker's that would have to do what cannot be done here."""

    def refuse(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and value != "no":
            fault = SourceFault(f"{parameter.opts[0]} is not supported: {why}", "leave it out")
            fault.exit_code = _FAILED
            raise fault

    return refuse


_NO_NETWORK = _refused("the command shares this machine's network, and what it listens on is reached as it is")
_NO_DAEMON = _refused("there is no daemon that the command could be left with")
_NO_MORE = _refused("the sandbox gives no command more than a build step has")


@click.command("run", help=_HELP, context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="IMAGE")
@click.argument("words", metavar="[COMMAND]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--rm", is_flag=True, expose_value=False, help="Always so: nothing is left.")
@click.option("-e", "--env", "env", multiple=True, metavar="NAME[=VALUE]", help="Set an environment variable.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Set those of a file.")
@click.option("-v", "--volume", "volumes", multiple=True, metavar="SRC:DST[:ro]", help="Show a file or folder inside.")
@click.option("--tmpfs", "tmpfs", multiple=True, metavar="DST[:OPTIONS]", help="An empty folder in memory.")
@click.option(
    "--mount", "mounts", multiple=True, metavar="FIELDS", help="The same, as type=bind|tmpfs,src=SRC,dst=DST[,ro]."
)
@click.option("--shm-size", default="", metavar="BYTES", help="Of /dev/shm (default: 64m).")
@click.option(
    "--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="Limit of the command's processes."
)
@click.option("--read-only", "readonly", is_flag=True, help="Only volumes and folders in memory can be written to.")
@click.option("-w", "--workdir", default="", metavar="FOLDER", help="Working directory.")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User by name or number.")
@click.option("--entrypoint", default=None, metavar="WORD", help="Instead of the image's entrypoint and command.")
@click.option("--network", type=click.Choice(["host", "none"]), default="host", show_default=True, help="Which one.")
@click.option("--add-host", "hosts", multiple=True, metavar="NAME:IP", help="Add a line to /etc/hosts.")
@click.option("-h", "--hostname", default="", metavar="NAME", help="Name of the machine inside.")
@click.option("--name", "label", default="", metavar="NAME", help="Taken; nothing here is found by a container's name.")
@click.option("-i", "--interactive", is_flag=True, help="Hand on standard input.")
@click.option("-t", "--tty", "terminal", is_flag=True, help="Give the command a terminal.")
@click.option("--init", is_flag=True, expose_value=False, help="Always so: zombies are reaped.")
@click.option(
    "--pull", "policy", type=click.Choice(POLICIES), default="missing", show_default=True, help="Whether to pull first."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of a pull.")
@click.option(
    "--platform", default=lambda: os.environ.get("DOCKER_DEFAULT_PLATFORM", ""), metavar="OS/ARCH[/VARIANT]",
    help="Which image to take (default: this machine's).",
)  # fmt: skip
@click.option("-p", "--publish", multiple=True, hidden=True, expose_value=False, callback=_NO_NETWORK)
@click.option("-P", "--publish-all", is_flag=True, hidden=True, expose_value=False, callback=_NO_NETWORK)
@click.option("-d", "--detach", is_flag=True, hidden=True, expose_value=False, callback=_NO_DAEMON)
@click.option("--restart", hidden=True, expose_value=False, callback=_NO_DAEMON)
@click.option("--privileged", is_flag=True, hidden=True, expose_value=False, callback=_NO_MORE)
@click.option("--cap-add", multiple=True, hidden=True, expose_value=False, callback=_NO_MORE)
@click.option("--device", multiple=True, hidden=True, expose_value=False, callback=_NO_MORE)
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    words: tuple[str, ...],
    env: tuple[str, ...],
    env_files: tuple[str, ...],
    volumes: tuple[str, ...],
    tmpfs: tuple[str, ...],
    mounts: tuple[str, ...],
    shm_size: str,
    ulimits: tuple[str, ...],
    readonly: bool,
    workdir: str,
    user: str,
    entrypoint: str | None,
    network: str,
    hosts: tuple[str, ...],
    hostname: str,
    label: str,
    interactive: bool,
    terminal: bool,
    policy: str,
    quiet: bool,
    platform: str,
) -> int:
    try:
        if interactive and terminal and not os.isatty(0):
            raise SourceFault("the input device is not a TTY", "leave out -t")
        container.check_name(label)
        wish = container.Wish(
            command=words,
            env=container.given_env(env, env_files, os.environ),
            workdir=workdir,
            user=user,
            entrypoint=entrypoint,
            terminal=terminal,
            hostname=hostname or container.new_hostname(),
            network=network,
            hosts=tuple(host_entry(host) for host in hosts),
            mounts=(*map(volume.bind, volumes), *map(volume.tmpfs, tmpfs), *map(volume.mount, mounts)),
            shm_size=byte_count("--shm-size", shm_size) if shm_size else DEFAULT_SHM_SIZE,
            ulimits=tuple(map(ulimit, ulimits)),
            readonly=readonly,
        )
        wanted = Wanted(name, policy, Platform.parse(platform) if platform else None, quiet)
        return _run(ctx, wanted, wish, interactive)
    except Canceled:
        raise
    except Fault as error:
        error.exit_code = _FAILED
        raise


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
            volumes, draft = with_refetch(
                store, lambda: (tuple(_volumes(trees, stack, paths, wish.readonly)), trees.begin(stack))
            )
            launcher = Launcher(compiled(store.root), _warn)
            try:
                spec = msgspec.structs.replace(_spec(image, wish), root=draft.root, mounts=(*volumes, *wish.mounts))
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
        return status.exit_code if status.exit_code > _NOT_FOUND else _FAILED
    missing = "not found" in status.failure or "no such file" in status.failure
    return _NOT_FOUND if missing else _NOT_EXECUTABLE


def _warn(text: str, hint: str = "", word: str = "WARNING") -> None:
    click.echo(f"{word}: {clean(text)}", err=True)
    if hint:
        click.echo(f"hint: {clean(hint)}", err=True)
