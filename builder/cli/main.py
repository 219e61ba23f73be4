"""The command line: finds the command, imports that one alone, and is the one place that turns an error into words."""

from __future__ import annotations

import os
import signal
import sys

import click

from builder.cli.commands import Commands
from cache.errors import Fault

_COMMANDS = {
    "build": "builder.cli.build",
    "cache": "builder.cli.cache",
    "doctor": "builder.cli.doctor",
    "du": "builder.cli.du",
    "context": "builder.cli.context",
    "explain": "builder.cli.explain",
    "history": "builder.cli.history",
    "image": "builder.cli.image",
    "images": "builder.cli.images",
    "import": "builder.cli.importimage",
    "inspect": "builder.cli.inspect",
    "load": "builder.cli.load",
    "login": "builder.cli.login",
    "logout": "builder.cli.logout",
    "manifest": "builder.cli.manifest",
    "pin": "builder.cli.pin",
    "policy": "builder.cli.policy",
    "prune": "builder.cli.prune",
    "pull": "builder.cli.pull",
    "push": "builder.cli.push",
    "rmi": "builder.cli.rmi",
    "run": "builder.cli.run",
    "save": "builder.cli.save",
    "search": "builder.cli.search",
    "system": "builder.cli.system",
    "tag": "builder.cli.tag",
}
_SUMMARIES = {
    "build": "Build an image from a Dockerfile.",
    "cache": "Commands for parts of the build cache.",
    "doctor": "Check this machine and the store.",
    "du": "Show what the store holds and how much disk it takes.",
    "context": "Commands for build contexts.",
    "explain": "Say why steps ran, and what they are made of.",
    "history": "Show the history of an image.",
    "image": "Commands for images, by Docker's grouped names.",
    "images": "List the images in the local image store.",
    "import": "Make an image of the archive of a root file system.",
    "inspect": "Show all that is known of images.",
    "load": "Load images from an archive.",
    "login": "Log in to a registry.",
    "logout": "Log out from a registry.",
    "manifest": "Show manifests and indexes.",
    "pin": "Write the digests of base images into a Dockerfile.",
    "policy": "Commands for policies in Rego.",
    "prune": "Remove the build cache and images without a name.",
    "pull": "Pull an image from a registry.",
    "push": "Push an image to a registry.",
    "rmi": "Remove images, or names of images.",
    "run": "Run a command in an image.",
    "save": "Write images to an archive.",
    "search": "Search a registry for images.",
    "system": "Commands about all of the store.",
    "tag": "Give an image another name.",
}
_GROUPS = {
    "Builds": ("build", "explain", "context", "pin", "policy"),
    "Images": ("images", "run", "inspect", "history", "tag", "rmi", "save", "load", "import", "image"),
    "Registries": ("pull", "push", "search", "manifest", "login", "logout"),
    "The store": ("du", "prune", "cache", "system", "doctor"),
}
_INTERNAL = 100
_NOT_STARTED = 125  # what Docker's run says of its own command line, since 1 and 2 may be the command's
_CANCELED = 130
_PIPE = 141  # 128 + SIGPIPE, what a shell shows for a program that died of it


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"lapstrake {version('lapstrake')}")
        ctx.exit()


@click.group(
    "lapstrake",
    cls=Commands,
    modules=_COMMANDS,
    summaries=_SUMMARIES,
    groups=_GROUPS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--root", metavar="FOLDER", help="Where lapstrake keeps everything (else $LAPSTRAKE_ROOT).")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def cli(ctx: click.Context, root: str | None) -> None:
    """Build container images from Dockerfiles: no daemon, no root where the kernel allows it."""
    ctx.obj = {"root": root}


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit. Every error ends here: a line, a hint, an exit status (docs/exit-codes.md)."""
    try:
        status = run(args)
    except KeyboardInterrupt:  # one more Ctrl-C while the first was being answered
        status = _CANCELED
    # All is done and said. A Ctrl-C from here on would only replace the status by that of a dying interpreter.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(status)


def run(args: list[str] | None = None) -> int:
    """The same, giving the exit status."""
    try:
        # Not cli.main(): that has endings of its own for Ctrl-C and closed pipes.
        with cli.make_context("lapstrake", sys.argv[1:] if args is None else list(args)) as ctx:
            result = cli.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return _say("canceled", "", _CANCELED)
    except click.ClickException as error:
        error.show()
        of = getattr(error, "ctx", None)
        return _NOT_STARTED if of is not None and of.command_path == "lapstrake run" else error.exit_code
    except Fault as error:
        return _say(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        return _say("canceled", "", _CANCELED)
    except BrokenPipeError:
        # The interpreter flushes once more on its way out; there must be somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _PIPE
    except Exception as error:
        return _internal(error)
    return result if isinstance(result, int) else 0


def _internal(error: Exception) -> int:
    if os.environ.get("LAPSTRAKE_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    if isinstance(error, OSError) and error.strerror and not error.filename and _is_shut():
        return _say(f"cannot write to the standard output: {error.strerror}", "", 1)
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename!r}" if error.filename else ""
        return _say(f"{error.strerror}{where}", "set LAPSTRAKE_DEBUG=1 to see where this comes from", 1)
    kind = type(error).__name__
    hint = "please report this, with what LAPSTRAKE_DEBUG=1 prints"
    return _say(f"internal error: {kind}: {error}", hint, _INTERNAL)


def _is_shut() -> bool:
    """Whether the standard output does not take what is left for it."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _say(message: str, hint: str, status: int) -> int:
    from builder.progress.clean import clean, clean_lines

    try:
        click.echo(clean_lines(f"ERROR: {message}"), err=True)
        if hint:
            click.echo(f"hint: {clean(hint)}", err=True)
    except BrokenPipeError:
        pass
    return status
