"""What `lapstrake build` does once its options are read: open the store, run a Session, show how it went."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import click
import msgspec

from builder.cli.calls import Call
from builder.cli.cap import Cap
from builder.cli.config import settings_of
from builder.cli.definition import opened_definition
from builder.cli.delivery import Delivery, check_files, check_iidfile, image_id, write_answer
from builder.cli.passing import passing
from builder.cli.policies import opened_policies
from builder.cli.reading import Answer
from builder.cli.remotes import opened_remotes
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.cli.session import Session
from builder.cli.sharing import check_exports, opened_sharing
from builder.errors import Canceled, PolicyFault
from builder.export.options import OutputSpec, parse_output
from builder.images.index import AnyImage
from builder.progress.choose import choose
from builder.progress.clean import clean, clean_lines
from builder.progress.renderer import Renderer, Summary
from builder.sandbox import namespace
from cache.digest import Digest
from cache.errors import DamagedBlob, Fault
from cache.store import Store

T = TypeVar("T")


class Shown(NamedTuple):
    """progress: --progress. quiet: print the image id at the end. expanded: warnings with all that is known of them.

    summary: a table of the steps is wanted.
    """

    progress: str = "auto"
    quiet: bool = False
    expanded: bool = False
    summary: bool = False

    @property
    def mode(self) -> str:
        return self.progress if self.progress != "auto" else os.environ.get("BUILDKIT_PROGRESS", "")

    @property
    def warnings(self) -> bool:
        """Whether warnings are summed up below the build."""
        return self.mode not in ("quiet", "none", "rawjson")


def run(request: BuildRequest, root: str, shown: Shown, call: Call | None = None) -> None:
    """Build and deliver; raises the Fault of what failed after the renderer has shown it.

    call: what to answer instead.
    """
    begin = time.monotonic()
    if call is not None:
        request = msgspec.structs.replace(request, cache_from=(), cache_to=())
    store = Store(root)
    check_iidfile(request)
    deliveries = [Delivery(_completed(parse_output(text), request), store, request.allow) for text in request.outputs]
    for delivery in deliveries:
        delivery.check(len(request.platforms), request.joined)  # as the user: root of a user namespace may write more
    check_files(request)
    check_exports(request.cache_to)
    settings = settings_of(os.environ, store.root)
    request = msgspec.structs.replace(request, proxy_network=request.proxy_network or settings.proxy_network)
    cap = Cap(store, settings.policies)
    namespace.enter()
    renderer = choose(shown.progress, sys.stderr, os.environ)
    try:
        with store.using():
            store.tidy()
            store.load_ballast()
            if call is not None:
                ask = _asking(call, shown)
                answer, warnings = _session(request, store, [], renderer, shown, ask)
                renderer.close(None)
                click.echo(warnings, nl=False, err=True)
                write_answer(request, answer.results)
                _give(answer)
                return
            built = _session(request, store, deliveries, renderer, shown, _work(request, store, deliveries, shown))
    finally:
        cap.keep(lambda text: click.echo(f"WARNING: {clean(text)}", err=True))
        store.close()
    names, image = tuple(tag.familiar for tag in request.tags), built.image
    renderer.close(Summary(image.descriptor.digest, image.size, names, time.monotonic() - begin))
    click.echo(built.notes, nl=False, err=True)
    if shown.quiet:
        click.echo(image_id(image, deliveries))
    if request.verify:
        _tell(built)


def _completed(spec: OutputSpec, request: BuildRequest) -> OutputSpec:
    """The output with what is said for all: annotations, which override its own ones (buildx), and --reproducible."""
    annotations, rewrite = (*spec.annotations, *request.annotations), spec.rewrite or request.reproducible
    return msgspec.structs.replace(spec, annotations=annotations, rewrite=rewrite)


class _Built(NamedTuple):
    """notes: what is to be said below the build. differences: lines about what a second build gave otherwise."""

    image: AnyImage
    notes: str
    differences: tuple[str, ...] = ()


def _work(request: BuildRequest, store: Store, deliveries: list[Delivery], shown: Shown) -> Callable[[Session], _Built]:
    """Build and deliver."""

    def work(session: Session) -> _Built:
        if not request.verify:
            return _Built(session.run(), _notes(session, shown))
        from builder.cli.verify import verified

        image, differences = verified(session, store, [delivery.spec for delivery in deliveries])
        return _Built(image, _notes(session, shown), differences)

    return work


def _tell(built: _Built) -> None:
    """The outcome of --verify, as the last words. Raises Fault where the second build gave something else."""
    for line in built.differences:
        click.echo(line, err=True)
    if built.differences:
        raise Fault(
            "the build is not reproducible: a second one, in other surroundings, gave what is listed above",
            "the image is that of the first build",
        )
    click.echo(f"Verified: a second build in other surroundings gave {built.image.descriptor.digest} too", err=True)


def _give(answer: Answer) -> None:
    click.echo(answer.text, nl=False)
    if answer.fault:
        raise Fault(answer.fault)
    if answer.status:
        raise click.exceptions.Exit(answer.status)


def _asking(call: Call, shown: Shown) -> Callable[[Session], tuple[Answer, str]]:
    """What gives the answer, and the warnings that go with it."""
    return lambda session: (session.reading.ask(call), _warnings(session, shown))


def _warnings(session: Session, shown: Shown) -> str:
    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return session.reading.summary(expanded=shown.expanded, color=color) if shown.warnings else ""


def _notes(session: Session, shown: Shown) -> str:
    warnings = _warnings(session, shown)
    if not shown.summary or shown.mode == "rawjson":  # what reads that has the same in its lines
        return warnings
    from builder.cli.steptable import step_table

    table = step_table(session.outcomes())
    return f"{warnings}\n{table}" if table else warnings


def _session(
    request: BuildRequest,
    store: Store,
    deliveries: list[Delivery],
    renderer: Renderer,
    shown: Shown,
    work: Callable[[Session], T],
) -> T:
    """What work gives. It is called as often as blobs turn out to be damaged: each is deleted, so that this ends.

    Nor is a result that an imported cache did not keep its word on offered a second time.
    """
    piped = any(delivery.spec.dest == "-" for delivery in deliveries)  # what is in a pipe stays in it
    session: Session | None = None
    report = Reporter(renderer.event)
    try:
        with (
            opened_remotes(request, store) as remotes,
            opened_definition(request, sys.stdin.buffer, store.path("tmp"), remotes) as definition,
            opened_policies(request, definition, remotes, report, shown.expanded),
            opened_sharing(request, store, report) as sharing,
        ):
            while True:
                try:
                    session = Session(request, definition, store, remotes, deliveries, sharing, report)
                    with session:
                        return work(session)
                except Fault as error:
                    cause = passing(error)
                    if cause is None or (piped and session is not None and session.delivering):
                        raise
                    if isinstance(cause, DamagedBlob):
                        if not store.blobs.delete(Digest(cause.name)):
                            raise
                        report.warn(f"blob sha256:{cause.name} was damaged and is made anew")
    except Fault as error:
        renderer.close(None)
        if session is not None:
            click.echo(_notes(session, shown), nl=False, err=True)
        _explain(error, session.reading.excerpt(error) if session is not None else "")
        raise


def _explain(error: Fault, text: str) -> None:
    """Above the error itself: the lines of the Dockerfile."""
    if text:
        click.echo(clean_lines(text.rstrip("\n")), err=True)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PolicyFault):
        cause = cause.__cause__
    for message in cause.messages if cause is not None else ():
        click.echo(f"Policy: {clean(message)}", err=True)
    if not isinstance(error, Canceled):
        error.message = f"failed to build: failed to solve: {error.message}"
