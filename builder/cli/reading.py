"""Reading: the Dockerfile of one build, from its bytes to the programs it amounts to; all of the frontend's part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from builder.cli.definition import Definition
from builder.cli.findings import line_note, summary
from builder.cli.folders import Folders
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest, epoch
from builder.errors import StepFault
from builder.graph.event import Warned
from builder.graph.graph import GraphBuilder
from builder.graph.program import Program, Warning
from builder.oci.config import DEFAULT_EPOCH
from builder.oci.platform import host
from builder.source.base import BaseImages
from builder.source.remotes import Remotes
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store
from frontends.dockerfile.lower import Checked, check, lower, outline
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.outline import targets
from frontends.dockerfile.parse import Dockerfile, parse
from frontends.errors import FrontendFault
from frontends.text import Lines, Source

if TYPE_CHECKING:
    from builder.cli.calls import Call


class Answer(msgspec.Struct, frozen=True):
    """What --call gives: text for the standard output, the exit status, and what is wrong with the Dockerfile.

    results: all of it for --metadata-file, "" where there is none.
    """

    text: str
    status: int = 0
    fault: str = ""
    results: str = ""


class Reading:
    """folders: of the client.

    request: that of the build, after programs() with the time that SOURCE_DATE_EPOCH names. told: the findings, as
    events. drawn: the programs.
    """

    def __init__(
        self,
        request: BuildRequest,
        definition: Definition,
        store: Store,
        bases: BaseImages,
        remotes: Remotes,
        folders: Folders,
        report: Reporter,
    ) -> None:
        self.request = request
        self.told: list[Warned] = []
        self.drawn: tuple[Program, ...] = ()
        self._definition = definition
        self._store = store
        self._memo = _Memo(store)
        self._bases = bases
        self._remotes = remotes
        self._folders = folders
        self._hides = folders.hides
        self._report = report
        self._source: Source | None = None
        self._parsed: Dockerfile | None = None
        self._step: Digest | None = None
        self._findings: dict[Warning, None] = {}

    def programs(self) -> tuple[Program, ...]:
        """One for each platform, over one graph, which the last of them has whole. Tells what the lint rules found."""
        document = self._document()
        self._date(document)
        options = self._lower_options()
        resolve, memo, graph = self._bases.resolve, self._memo, GraphBuilder()
        each = (replace(options, platform=p) for p in self.request.platforms or (host(),))
        self.drawn = tuple(
            lower(document, o, resolve, memo=memo, ignored=self._hides, graph=graph, failing=self._tell) for o in each
        )
        self._tell(warning for program in self.drawn for warning in program.warnings)
        return self.drawn

    def ask(self, call: Call) -> Answer:
        """The answer to --call; nothing is built."""
        from builder.cli import calls

        if call.method == "lint":
            return self._linted(call)
        show = self._shown(call.method)
        results = calls.results(show("json"), show("text")) if self.request.metadata_file else ""
        return Answer(show(call.form), results=results)

    def _shown(self, method: str) -> Callable[[str], str]:
        """The answer in a form."""
        from builder.cli import calls

        if method == "subrequests.describe":
            return calls.describe
        document = self._document()
        if method == "targets":
            return lambda form: calls.show_targets(targets(document), document.source, form)
        options, resolve = self._lower_options(), self._bases.resolve
        found = outline(document, options, resolve, memo=self._memo, ignored=self._hides, found=self._tell)
        return lambda form: calls.show_outline(found, document.source, form)

    def _linted(self, call: Call) -> Answer:
        from builder.cli import calls, findings

        checked, source = self._check()
        document, text = findings.checked_json(checked, source), findings.checked_text(checked, source)
        status = 1 if checked.findings or checked.fault is not None else 0
        results = ""
        if self.request.metadata_file:
            results = calls.results(document, findings.violations(checked.findings, source), status)
        return Answer(
            document if call.form == "json" else text,
            1 if checked.findings and not call.ignore_status else 0,
            findings.fault_text(checked.fault) if checked.fault is not None else "",
            results,
        )

    def _check(self) -> tuple[Checked, Source]:
        try:
            document = self._document()
        except FrontendFault as error:
            assert self._source is not None
            return Checked((), error), self._source
        checked = check(document, self._lower_options(), self._bases.resolve, memo=self._memo, ignored=self._hides)
        return checked, document.source

    def summary(self, *, expanded: bool, color: bool) -> str:
        """What is to be said of lint findings below the build."""
        if self._source is None:
            return ""
        return summary(tuple(self._findings), self._source, expanded=expanded, color=color)

    def excerpt(self, error: Fault) -> str:
        """The lines of the Dockerfile that an error of run() is about, "" where it is about none."""
        if isinstance(error, FrontendFault):
            return error.excerpt
        if not isinstance(error, StepFault) or not self.drawn or self._source is None:
            return ""
        info = self.drawn[-1].graph.info.get(error.vertex)
        span = info.span if info is not None else None
        return self._source.excerpt(Lines(span.first, span.last)) if span is not None else ""

    def variable(self, name: str) -> str:
        """The instruction that gives a variable its value: ENV before ARG; "" if none of the Dockerfile does."""
        from frontends.dockerfile.variables import set_by

        return set_by(self._parsed, name, dict(self.request.build_args)) if self._parsed is not None else ""

    def _date(self, document: Dockerfile) -> None:
        """SOURCE_DATE_EPOCH may name a source: from here on it is that one's time, or none.

        With --reproducible it has a value in any case.
        """
        from frontends.dockerfile.epoch import NAME, epoch_source, epoch_text

        text = epoch_text(document, dict(self.request.build_args))
        if self.request.epoch is not None or not (text or self.request.reproducible):
            return
        time = epoch(text)
        if text and time is None:
            source = epoch_source(document, self._lower_options(), text)
            time = None if source is None else self._remotes.time(source)
        if time is None and self.request.reproducible:
            time = self._own_date()
        arguments = {**dict(self.request.build_args), NAME: "" if time is None else str(time)}
        self.request = replace(self.request, epoch=time, build_args=tuple(arguments.items()))

    def _own_date(self) -> int:
        """When the context was made: its commit, if it has nothing else in it, else its newest file."""
        from builder.source.git import Git
        from builder.source.worktree import commit_time

        found = None
        if self._definition.source is not None:
            found = self._remotes.time(self._definition.source)
        elif self.request.context != "-":
            found = commit_time(self._definition.context, Git(os.environ), self._store.path("tmp"))
        if found is None and self._definition.context:
            found = self._folders.newest()
        return DEFAULT_EPOCH if found is None else found

    def _document(self) -> Dockerfile:
        self._step = self._report.begin(f"load build definition from {self._definition.name}")
        self._source = Source(self._definition.name, self._definition.text)
        syntax = dict(self.request.build_args).get("BUILDKIT_SYNTAX", "")
        document = self._parsed = parse(self._source, self._memo, syntax)
        self._report.done(self._step)
        return document

    def _lower_options(self) -> LowerOptions:
        request = self.request
        kinds = {n: "local" for n, _ in request.named_folders} | {n: "image" for n, _ in request.named_images}
        kinds |= {n: "remote" for n, _ in request.named_sources}
        main = {} if self._definition.source is None else {"context": self._definition.source}
        return LowerOptions(
            build_args=dict(request.build_args),
            target=request.target,
            labels=request.labels,
            network=request.network,
            platform=(request.platforms or (host(),))[0],
            build_platform=host(),
            platform_given=bool(request.platforms),
            several=request.joined,
            hosts=tuple(n for n, _ in request.hosts),
            contexts=kinds,
            sources={**dict(request.named_sources), **main},
            archive=self._definition.archive,
            allow=request.allow,
            ulimits=request.ulimits,
            shm_size=request.shm_size,
            no_cache_filter=request.no_cache_filter,
        )

    def _tell(self, findings: Iterable[Warning]) -> None:
        """Each finding once, for whatever platform."""
        assert self._source is not None
        for finding in findings:
            if finding not in self._findings:
                self._findings[finding] = None
                event = Warned(self._step, line_note(finding), self._report.clock(), finding, self._source.data)
                self.told.append(event)
                self._report.emit(event)


class _Memo:
    """Parsed files, kept in the store's index."""

    def __init__(self, store: Store) -> None:
        self._index = store.index

    def get(self, key: Digest) -> bytes | None:
        return self._index.memo("parse", key)

    def put(self, key: Digest, value: bytes) -> None:
        self._index.put_memo("parse", key, value)
