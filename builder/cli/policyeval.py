"""`lapstrake policy eval`: what a policy says of one source, or what it would see of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from builder.cli.opened import opened
from builder.cli.policytrust import trust_of
from builder.errors import PolicyFault, SourceFault
from builder.graph.operation import GitSource, RemoteSource
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.policy.facts import ImageLook, RemoteLook
    from builder.policy.subjects import Subject

_LIMIT = (4 << 20) + 1  # bytes, one more than a policy may have
_IMAGE = "docker-image://"
_UNNAMED = ("image.createdTime",)  # not among the fields that buildx tells of
_HELP = """Evaluate a policy for SOURCE: docker-image://NAME, a URL, a git repository, or a folder.

The policy is FILE.rego; imports and files that it reads are those of the working folder. The exit status is 1 if the
source is denied.

\b
Examples:
  lapstrake policy eval docker-image://debian:bookworm
  lapstrake policy eval -f policy https://example.com/file.tar.gz
  lapstrake policy eval --print --fields git.commit https://github.com/o/r.git#v1
"""


@click.command("eval", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source")
@click.option(
    "-f", "--file", "file", default="Dockerfile", metavar="FILE", show_default=True,
    help="Name of the policy without .rego, or - for one on the standard input.",
)  # fmt: skip
@click.option("--filename", "older", hidden=True)
@click.option("--print", "printed", is_flag=True, help="Print the input that a policy gets, and evaluate nothing.")
@click.option("--fields", multiple=True, metavar="FIELD[,...]", help="With --print: find these out, too.")
@click.option("--platform", default="", metavar="OS/ARCH", help="Of an image (default: this machine's).")
@click.pass_context
def command(
    ctx: click.Context, source: str, file: str, older: str | None, printed: bool, fields: tuple[str, ...], platform: str
) -> None:
    wanted = Platform.parse(platform) if platform else host()
    with _looking(ctx, source, wanted) as subject:
        if printed:
            _print(subject, tuple(field for text in fields for field in text.split(",") if field))
        else:
            _evaluate(subject, older or file)


@contextmanager
def _looking(ctx: click.Context, text: str, platform: Platform) -> Iterator[Subject]:
    """The source, with the store and the network to find out about it."""
    from builder.cli.bounds import unpack_limits
    from builder.cli.registries import opened_registries
    from builder.cli.remotes import opened_remotes
    from builder.cli.reporter import Reporter
    from builder.cli.request import BuildRequest
    from builder.source.base import BaseImages
    from builder.source.pulled import Pulled
    from builder.source.remotebases import RemoteBases

    report = Reporter(lambda event: None)
    with (
        opened(ctx) as (store, images),
        store.using(),
        opened_remotes(BuildRequest(context="."), store) as remotes,
        opened_registries(os.environ) as registries,
    ):
        pulled = lambda: Pulled(registries, store.blobs, unpack_limits(os.environ))  # noqa: E731
        bases = RemoteBases(store, pulled, report.emit, report.clock)
        found = BaseImages(store, images, {}, bases)
        try:
            yield _subject(text, platform, lambda name: found.facts(name, platform), remotes)
        finally:
            store.blobs.suppliers.clear()
            bases.close()


def _subject(text: str, platform: Platform, look: ImageLook, remotes: RemoteLook) -> Subject:
    from builder.policy.subjects import GitSubject, HttpSubject, ImageSubject, LocalSubject
    from builder.source.policy import git_identifier

    if text.startswith(_IMAGE):
        name = text.removeprefix(_IMAGE)
        return ImageSubject(Reference.parse(name), platform, lambda: look(name), trust_of(os.environ))
    source = _remote(text)
    if isinstance(source, GitSource):
        return GitSubject(source, git_identifier(source), remotes)
    if source is not None:
        return HttpSubject(source, remotes)
    try:
        os.stat(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a NUL"
        hint = f"give {_IMAGE}NAME, a URL, a git repository, or a folder"
        raise SourceFault(f"invalid local path {text}: {reason}", hint) from None
    return LocalSubject("context")


def _remote(text: str) -> RemoteSource | None:
    from builder.cli.request import remote_context

    return remote_context(text) if text.startswith(("http://", "https://", "git://")) else None


def _evaluate(subject: Subject, file: str) -> None:
    """Raises PolicyFault where it is denied."""
    from builder.cli.policyfiles import ContextFiles
    from builder.policy.engine import Engine
    from builder.policy.input import Env
    from builder.policy.loaded import loaded
    from builder.policy.log import quiet
    from builder.policy.regopolicy import RegoPolicy

    name, raw = _policy(file)
    files = ContextFiles(os.getcwd())
    engine = Engine()
    try:
        policy = loaded([(os.path.basename(name), raw)], files)
        env = Env(depth=0, filename="stdin" if file == "-" else os.path.basename(file))
        debug = os.environ.get("LAPSTRAKE_DEBUG") == "1"
        told = _log if debug else quiet
        decision = RegoPolicy(policy, env, engine, files, told, trust_of(os.environ)).decide(subject)
    finally:
        engine.close()
    if not decision.allow:
        raise PolicyFault("policy denied" + (f": {'; '.join(decision.messages)}" if any(decision.messages) else ""))


def _log(level: int, text: str) -> None:
    from builder.progress.clean import clean_lines

    click.echo(clean_lines(text), err=True)


def _policy(file: str) -> tuple[str, bytes]:
    if not file:
        raise Fault("filename is required")
    if file == "-":
        return "-", sys.stdin.buffer.read(_LIMIT)
    name = f"{file}.rego"
    try:
        with open(name, "rb") as opened_file:
            return name, opened_file.read(_LIMIT)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a NUL in its name"
        raise PolicyFault(f"failed to read policy file {name}: {reason}", "name it with -f, without .rego") from None


def _print(subject: Subject, fields: tuple[str, ...]) -> None:
    from builder.cli.calls import as_json
    from builder.policy.needs import field_need, unresolved
    from builder.policy.regopolicy import plain

    before = unresolved(subject.input(frozenset()), frozenset())
    wrong = [field for field in fields if _among(field, before) is None]
    if wrong:
        click.echo(f"WARNING: invalid fields: {', '.join(wrong)}", err=True)
    resolved = frozenset(need for field in fields if field not in wrong and (need := field_need(field)))
    found = subject.input(resolved)
    left = tuple(field for field in unresolved(found, resolved) if field not in _UNNAMED)
    shown = left if not fields else tuple(name for field in fields if (name := _among(field, left)) is not None)
    if shown:
        click.echo(f"INFO: unresolved fields: {', '.join(sorted(set(shown)))}", err=True)
    click.echo(as_json(plain(found)), nl=False)


def _among(field: str, names: tuple[str, ...]) -> str | None:
    """The one of the names that a field is, or is a part of."""
    return next((name for name in names if field == name or field.startswith((f"{name}.", f"{name}["))), None)
