"""Fold: what a stage has become so far: operations, config, history; and what its instructions do that with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from builder.graph.graph import GraphBuilder, Span, VertexInfo
from builder.graph.operation import Operation
from builder.oci.config import History, ImageConfig, RuntimeConfig
from builder.oci.platform import Platform
from cache.digest import Digest
from frontends.dockerfile import paths
from frontends.dockerfile.instructions import (
    Instruction,
)
from frontends.dockerfile.lint import Lint
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.outline import Gathered
from frontends.dockerfile.stages import Stages
from frontends.dockerfile.stepname import crossed, step_prefix, upper_keyword
from frontends.dockerfile.words import Expander, Word
from frontends.errors import FrontendFault
from frontends.text import Lines, Source, suggest

COMMENT = "buildkit.dockerfile.v0"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Arguments that steer the build and are never in a step's environment.
NOT_ENV = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})

replace = msgspec.structs.replace


class StageState(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage hands to the stages built on it. env: its ENV and ARGs; arguments: ARGs in order, None if unset."""

    config: ImageConfig
    platform: Platform
    vertex: Digest | None = None
    base: Digest | None = None
    steps: tuple[Digest, ...] = ()
    env: dict[str, str] = {}
    arguments: dict[str, str | None] = {}
    workdir_set: bool = False
    gathered: Gathered | None = None


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What all stages of a build have in common. ignored: whether the ignore file hides a path for certain.

    tree: (name, index of the stage if it is one, lines, what to say if that stage comes later) -> the vertex that
    COPY --from or a mount reads, None for an empty tree; the name "" is the build context.
    """

    source: Source
    options: LowerOptions
    lint: Lint
    graph: GraphBuilder
    stages: Stages
    tree: Callable[[str, int | None, Lines, str], Digest | None]
    ignored: Callable[[str], bool]


class Fold:
    """Walks a stage. steps_total: how many steps progress counts in it, with those done so far."""

    def __init__(self, start: StageState, shared: Shared, title: str, total: int, done: int) -> None:
        self.shared = shared
        self.config = start.config
        self.runtime = start.config.runtime
        self.history = list(start.config.history)
        self.platform = start.platform
        self.vertex, self.base, self.steps = start.vertex, start.base, list(start.steps)
        self.env = dict(start.env)
        self.arguments = dict(start.arguments)
        self.workdir_set = start.workdir_set
        self.gathered = Gathered(start.gathered)
        self.onbuild = False
        self.title, self._total, self._done = title, total, done
        self.seen: dict[type, Instruction] = {}
        self._begin()

    def _begin(self) -> None:
        names = [entry.partition("=")[0] for entry in self.runtime.env]
        if "PATH" not in names and self.platform.os != "windows":
            self.runtime = replace(self.runtime, env=(*self.runtime.env, f"PATH={DEFAULT_PATH}"))
        for entry in self.runtime.env:
            name, _, value = entry.partition("=")
            self.env[name] = value
        if self.runtime.workdir:
            self.runtime = replace(self.runtime, workdir=paths.workdir("/", self.runtime.workdir))

    @property
    def workdir(self) -> str:
        return self.runtime.workdir or "/"

    @property
    def exec_env(self) -> tuple[str, ...]:
        return tuple(f"{name}={value}" for name, value in self.env.items())

    def result(self) -> StageState:
        return StageState(
            config=replace(self.config, runtime=self.runtime, history=tuple(self.history)),
            platform=self.platform,
            vertex=self.vertex,
            base=self.base,
            steps=tuple(self.steps),
            env=self.env,
            arguments=self.arguments,
            workdir_set=self.workdir_set,
            gathered=self.gathered,
        )

    # What the handlers in metadata.py, run.py and copying.py are made of.

    def expand(self, word: Word, instruction: Instruction) -> str:
        """Expand with the environment so far; names that were never set are a finding, also before a fault."""
        expander = Expander(self.env)
        try:
            return expander.expand(word)
        finally:
            self.report_missing(expander, instruction)

    def report_missing(self, expander: Expander, instruction: Instruction) -> None:
        for name in expander.missing:
            if name not in self.arguments and name not in NOT_ENV:
                self.report("UndefinedVar", instruction, name, _nearest(name, self.env))

    def report(self, rule: str, instruction: Instruction, *values: str) -> None:
        self.shared.lint.report(rule, instruction.lines, instruction.comments, *values)

    def with_shell(self, words: tuple[str, ...]) -> tuple[str, ...]:
        default = ("cmd", "/S", "/C") if self.platform.os == "windows" else ("/bin/sh", "-c")
        return (*(self.runtime.shell or default), " ".join(words))

    def commit(self, text: str, *, layer: bool = False) -> None:
        self.history.append(History(created_by=text, empty_layer=not layer, comment=COMMENT, own=True))

    def step(self, operation: Operation, inputs: tuple[Digest, ...], instruction: Instruction, display: str) -> None:
        """Add the vertex that makes the next layer; inputs beside the root, which comes first."""
        self.named_step(operation, inputs, instruction, self.next_name(display))

    def named_step(self, operation: Operation, inputs: tuple[Digest, ...], instruction: Instruction, name: str) -> None:
        """The same, for a step that has its number already."""
        root = () if self.vertex is None else (self.vertex,)
        lines = instruction.lines
        info = VertexInfo(name, Span(self.shared.source.name, lines.first, lines.last))
        self.vertex = self.shared.graph.add(operation, (*root, *inputs), info)
        self.steps.append(self.vertex)

    def next_name(self, display: str) -> str:
        """`[build 2/4] RUN make`."""
        self._done += 1
        prefix = step_prefix(self.title, self._done, self._total, self._place())
        return f"{prefix}{'ONBUILD ' if self.onbuild else ''}{display}"

    def _place(self) -> str:
        """`linux/amd64`, or `linux/amd64->arm64` where the step knows that it works for another platform."""
        if not self.shared.options.several:
            return ""
        return self.platform.full + crossed(self.platform, self.env)

    def display(self, word: Word) -> str:
        """An instruction as progress shows it: expanded, its keyword in upper case."""
        try:
            text = Expander(self.env).expand(word)
        except FrontendFault:
            text = word if isinstance(word, str) else word.text
        return upper_keyword(text)


def _nearest(name: str, known: Iterable[str]) -> str:
    match = suggest(name, known)
    return f" (did you mean ${match}?)" if match else ""


def empty_image(platform: Platform) -> ImageConfig:
    """What FROM scratch begins with."""
    env = () if platform.os == "windows" else (f"PATH={DEFAULT_PATH}",)
    return ImageConfig(platform=platform, runtime=RuntimeConfig(env=env, workdir="/"))
