"""`lapstrake build`: options as in `docker buildx build`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import msgspec

from builder.cli.calls import Call, parse_call
from builder.cli.devices import grants
from builder.cli.request import (
    BuildRequest,
    build_args,
    byte_count,
    entitlements,
    epoch,
    host_entry,
    joined,
    named_context,
    pairs,
    ulimit,
    words,
)
from builder.cli.resources import limits, older_options, older_values
from builder.cli.root import store_root
from builder.cli.secret import parse_secret
from builder.cli.ssh import parse_ssh
from builder.cli.unsupported import check_unsupported, unsupported_options
from builder.errors import Canceled
from builder.export.annotations import from_option
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from builder.oci.platform import parse_platforms
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.errors import DamagedBlob, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.cli.delivery import Delivery
    from builder.cli.session import Answer, Session
    from builder.export.options import OutputSpec
    from builder.progress.renderer import Renderer
    from builder.source.base import NamedImage
    from cache.store import Store

T = TypeVar("T")

_HELP = """Build an image from a Dockerfile.

CONTEXT is the folder that COPY and ADD read, a git repository (https://HOST/REPO.git#REF:FOLDER), the URL of a tar
archive or Dockerfile, or - for one of these on the standard input.

Without -o the image goes into the local image store under its tags.

\b
Examples:
  lapstrake build -t app .
  lapstrake build -t app:1.2 -o type=docker,dest=app.tar .
  lapstrake build --platform linux/amd64,linux/arm64 -o type=oci,dest=app.tar .
  lapstrake build --target test --build-arg VERSION=3 -f ci/Dockerfile .
"""


@click.command("build", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("context", metavar="CONTEXT")
@click.option("-f", "--file", metavar="FILE", help="Name of the Dockerfile (default: CONTEXT/Dockerfile).")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name of the image; repeatable.")
@click.option("--build-arg", "args", multiple=True, metavar="NAME[=VALUE]", help="Set a build-time variable.")
@click.option("--target", default="", metavar="STAGE", help="Build this stage (default: the last one).")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    default=lambda: tuple(filter(None, [os.environ.get("DOCKER_DEFAULT_PLATFORM")])),
    metavar="OS/ARCH[,...]",
    help="Build for these platforms (default: this machine's); several make an index.",
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Set metadata of the image.")
@click.option("--no-cache", is_flag=True, help="Run every step anew.")
@click.option("--push", is_flag=True, help="The same as -o type=registry.")
@click.option("--pull", is_flag=True, help="Ask the registries for base images, even if they are known.")
@click.option("--no-cache-filter", "filters", multiple=True, metavar="STAGE", help="Run the steps of this stage anew.")
@click.option(
    "--network",
    type=click.Choice(["default", "none", "host"]),
    default="default",
    show_default=True,
    help="Network of RUN steps.",
)
@click.option("--add-host", "hosts", multiple=True, metavar="HOST:IP", help="Add a line to /etc/hosts of RUN steps.")
@click.option(
    "--secret", "secrets", multiple=True, metavar="id=NAME[,src=FILE]", help="A value for RUN --mount=type=secret."
)
@click.option("--ssh", "ssh", multiple=True, metavar="ID[=SOCKET|KEY]", help="An agent for RUN --mount=type=ssh.")
@click.option("--shm-size", default="", metavar="BYTES", help="Size of /dev/shm in RUN steps (default: 64m).")
@click.option("--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="A limit of RUN steps.")
@click.option("--resource", "resources", multiple=True, metavar="NAME=VALUE", help="A limit of RUN: memory=2g, ….")
@older_options
@click.option("--cgroup-parent", default="", metavar="PATH", help="The cgroup that those of RUN steps are made in.")
@click.option(
    "--allow", multiple=True, metavar="ENTITLEMENT", help="Let RUN have network.host, security.insecure or device."
)
@click.option("--build-context", "contexts", multiple=True, metavar="NAME=SOURCE", help="Another folder or image.")
@click.option(
    "-o", "--output", "outputs", multiple=True, metavar="type=TYPE[,dest=PATH]", help="Where the result goes."
)
@click.option("--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="Set metadata of the manifest.")
@click.option("--iidfile", default="", metavar="FILE", help="Write the image id to this file.")
@click.option("--metadata-file", default="", metavar="FILE", help="Write facts about the build to this file, as JSON.")
@click.option(
    "--call", default="build", metavar="METHOD", help="check, outline or targets, with ,format=json: build nothing."
)
@click.option("--check", is_flag=True, help="The same as --call=check.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the image id.")
@click.option(
    "--progress",
    default="auto",
    metavar="MODE",
    help="How progress is shown: auto, plain, tty, quiet, rawjson or none.",
)
@unsupported_options
@click.option("-D", "--debug", is_flag=True, help="Explain warnings, as LAPSTRAKE_DEBUG=1 does.")
@click.option("--root", "root", metavar="FOLDER", help="Where lapstrake keeps everything.")
@click.pass_context
def command(
    ctx: click.Context,
    context: str,
    file: str | None,
    tags: tuple[str, ...],
    args: tuple[str, ...],
    target: str,
    platforms: tuple[str, ...],
    labels: tuple[str, ...],
    no_cache: bool,
    pull: bool,
    push: bool,
    filters: tuple[str, ...],
    network: str,
    hosts: tuple[str, ...],
    secrets: tuple[str, ...],
    ssh: tuple[str, ...],
    shm_size: str,
    ulimits: tuple[str, ...],
    resources: tuple[str, ...],
    cgroup_parent: str,
    allow: tuple[str, ...],
    contexts: tuple[str, ...],
    outputs: tuple[str, ...],
    annotations: tuple[str, ...],
    iidfile: str,
    metadata_file: str,
    call: str,
    check: bool,
    quiet: bool,
    progress: str,
    debug: bool,
    root: str | None,
) -> None:
    check_unsupported(ctx)
    arguments = build_args(args, os.environ)
    granted, others = grants(allow)
    if no_cache and filters:
        raise Fault("--no-cache and --no-cache-filter cannot currently be used together", "drop one of them")
    targets = parse_platforms(platforms)
    request = BuildRequest(
        context=context,
        file=file,
        tags=tuple(Reference.parse(tag) for tag in tags),
        build_args=arguments,
        target=target,
        platforms=tuple(dict.fromkeys(targets)),
        joined=joined(len(targets), arguments),
        labels=pairs("--label", labels),
        no_cache=no_cache,
        pull=pull,
        network=network,
        hosts=tuple(host_entry(h) for h in hosts),
        **_contexts(contexts),
        outputs=(*outputs, "type=registry") if push else outputs or (("type=image",) if annotations else ()),
        annotations=tuple(one for text in annotations if text for one in from_option(text)),
        iidfile=iidfile,
        metadata_file=metadata_file,
        secrets=tuple(parse_secret(text, os.environ) for text in secrets),
        ssh=tuple(parse_ssh(text, os.environ) for text in ssh),
        allow=entitlements(others),
        devices=granted,
        ulimits=tuple(sorted((ulimit(text) for text in ulimits), key=lambda limit: limit.name)),
        no_cache_filter=words(filters),
        shm_size=byte_count("--shm-size", shm_size) if shm_size else 0,
        limits=limits((*older_values(ctx), *resources), cgroup_parent),
        metadata_warnings=os.environ.get("BUILDX_METADATA_WARNINGS", "") in ("1", "t", "T", "TRUE", "true", "True"),
        epoch=epoch(dict(arguments).get("SOURCE_DATE_EPOCH", "")),
    )
    shown = Shown(
        _mode(progress, quiet), quiet or progress == "quiet", debug or os.environ.get("LAPSTRAKE_DEBUG") == "1"
    )
    given = root or (ctx.obj or {}).get("root")
    run(request, store_root(given, os.environ, os.geteuid()), shown, parse_call("check" if check else call))


class Shown(NamedTuple):
    """progress: --progress. quiet: print the image id at the end. expanded: warnings with all that is known of them."""

    progress: str = "auto"
    quiet: bool = False
    expanded: bool = False

    @property
    def summary(self) -> bool:
        """Whether warnings are summed up below the build."""
        mode = self.progress if self.progress != "auto" else os.environ.get("BUILDKIT_PROGRESS", "")
        return mode not in ("quiet", "none", "rawjson")


def _mode(progress: str, quiet: bool) -> str:
    if not quiet:
        return progress
    if progress not in ("auto", "quiet", "none"):
        raise Fault(f"progress={progress} and quiet cannot be used together", "drop -q, or --progress")
    return "quiet"


def _contexts(values: tuple[str, ...]) -> dict[str, Any]:
    """--build-context by kind, as fields of the request."""
    folders: list[tuple[str, str]] = []
    images: list[tuple[str, NamedImage]] = []
    sources: list[tuple[str, RemoteSource]] = []
    for value in values:
        name, source = named_context(value)
        if isinstance(source, str):
            folders.append((name, source))
        elif isinstance(source, HttpSource | GitSource):
            sources.append((name, source))
        else:
            images.append((name, source))
    return {"named_folders": tuple(folders), "named_images": tuple(images), "named_sources": tuple(sources)}


def run(request: BuildRequest, root: str, shown: Shown, call: Call | None = None) -> None:
    """Build and deliver; raises the Fault of what failed after the renderer has shown it.

    call: what to answer instead.
    """
    from builder.cli.delivery import Delivery, check_files, check_iidfile
    from builder.export.options import parse_output
    from builder.progress.choose import choose
    from builder.progress.renderer import Summary
    from builder.sandbox import namespace
    from cache.store import Store

    begin = time.monotonic()
    store = Store(root)
    check_iidfile(request)
    deliveries = [Delivery(_annotated(parse_output(text), request), store) for text in request.outputs]
    for delivery in deliveries:
        delivery.check(len(request.platforms), request.joined)  # as the user: root of a user namespace may write more
    check_files(request)
    namespace.enter()
    renderer = choose(shown.progress, sys.stderr, os.environ)
    try:
        with store.lock():
            store.tidy()
            if call is not None:
                answer = _session(request, store, [], renderer, shown, lambda session: session.ask(call))
                renderer.close(None)
                _give(answer)
                return
            image, notes = _session(
                request, store, deliveries, renderer, shown, lambda session: (session.run(), _notes(session, shown))
            )
    finally:
        store.close()
    names = tuple(tag.familiar for tag in request.tags)
    renderer.close(Summary(image.descriptor.digest, image.size, names, time.monotonic() - begin))
    click.echo(notes, nl=False, err=True)
    if shown.quiet:
        click.echo(str(image.id))


def _annotated(spec: OutputSpec, request: BuildRequest) -> OutputSpec:
    """The output with the annotations of the whole command, which its own ones override."""
    return msgspec.structs.replace(spec, annotations=(*request.annotations, *spec.annotations))


def _give(answer: Answer) -> None:
    click.echo(answer.text, nl=False)
    if answer.fault:
        raise Fault(answer.fault)
    if answer.status:
        raise click.exceptions.Exit(answer.status)


def _notes(session: Session, shown: Shown) -> str:
    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return session.summary(expanded=shown.expanded, color=color) if shown.summary else ""


def _session(
    request: BuildRequest,
    store: Store,
    deliveries: list[Delivery],
    renderer: Renderer,
    shown: Shown,
    work: Callable[[Session], T],
) -> T:
    """What work gives. It is called as often as blobs turn out to be damaged: each is deleted, so that this ends."""
    from builder.cli.definition import opened_definition
    from builder.cli.remotes import opened_remotes
    from builder.cli.session import Session
    from builder.graph.event import Warned

    may_repeat = all(delivery.spec.dest != "-" for delivery in deliveries)  # what is in a pipe stays in it
    session: Session | None = None
    try:
        with (
            opened_remotes(request, store) as remotes,
            opened_definition(request, sys.stdin.buffer, store.path("tmp"), remotes) as definition,
        ):
            while True:
                try:
                    session = Session(request, definition, store, remotes, deliveries, renderer.event)
                    with session:
                        return work(session)
                except Fault as error:
                    damaged = _damaged_blob(error)
                    if damaged is None or not store.blobs.delete(damaged) or not may_repeat:
                        raise
                    text = f"blob {damaged} was damaged and is made anew"
                    renderer.event(Warned(None, text, session.clock() if session is not None else 0.0))
    except Fault as error:
        renderer.close(None)
        if session is not None:
            click.echo(_notes(session, shown), nl=False, err=True)
        _explain(error, session.excerpt(error) if session is not None else "")
        raise


def _damaged_blob(error: BaseException | None) -> Digest | None:
    """The blob of the store whose damage an error comes from."""
    while error is not None and not isinstance(error, DamagedBlob):
        error = error.__cause__
    return Digest(error.name) if error is not None else None


def _explain(error: Fault, text: str) -> None:
    """Above the error itself: the lines of the Dockerfile."""
    if text:
        click.echo(text.rstrip("\n"), err=True)
    if not isinstance(error, Canceled):
        error.message = f"failed to build: failed to solve: {error.message}"
