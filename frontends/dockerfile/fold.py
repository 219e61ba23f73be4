"""Fold: one stage's instructions folded into its operations, config and history (BuildKit's dispatch functions)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from builder.graph.graph import GraphBuilder, Span, VertexInfo
from builder.graph.operation import MakeDir, Operation
from builder.oci.config import HealthCheck, History, ImageConfig, RuntimeConfig
from builder.oci.platform import Platform, normalise
from cache.digest import Digest
from cache.errors import Fault
from frontends.dockerfile import paths
from frontends.dockerfile.gotext import duration, plain_list, quote, quoted_list
from frontends.dockerfile.instructions import (
    Add,
    AnyInstruction,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from frontends.dockerfile.lint import Lint
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.outline import Declared, Gathered, description
from frontends.dockerfile.ports import parse_ports
from frontends.dockerfile.signals import is_signal
from frontends.dockerfile.stages import Stages
from frontends.dockerfile.style import holds_secret
from frontends.dockerfile.words import Expander, Word
from frontends.errors import FrontendFault, LowerFault
from frontends.text import Lines, Source, suggest

COMMENT = "buildkit.dockerfile.v0"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_PORTS = 3 * 65536  # every port of every protocol
# Arguments that steer the build and are never in a step's environment.
_NOT_ENV = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})

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
        self._seen: dict[type, Instruction] = {}
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

    def apply(self, instruction: AnyInstruction, *, onbuild: bool = False) -> None:
        """Carry out one instruction. Raises FrontendFault with its place."""
        self.onbuild = onbuild
        try:
            _HANDLERS[type(instruction)](self, instruction)
        except FrontendFault as error:
            raise error.at(self.shared.source, instruction.lines) from None

    # What the handlers, here and in run.py and copying.py, are made of.

    def expand(self, word: Word, instruction: Instruction) -> str:
        """Expand with the environment so far; names that were never set are a finding."""
        expander = Expander(self.env)
        text = expander.expand(word)
        self.report_missing(expander, instruction)
        return text

    def report_missing(self, expander: Expander, instruction: Instruction) -> None:
        for name in expander.missing:
            if name not in self.arguments and name not in _NOT_ENV:
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

    # The instructions that only change the config.

    def _env(self, instruction: Env) -> None:
        if instruction.legacy:
            self.report("LegacyKeyValueFormat", instruction, instruction.keyword)
        pairs = self._pairs(instruction)
        entries = {entry.partition("=")[0]: entry for entry in self.runtime.env}
        for name, value in pairs:
            if holds_secret(name):
                self.report("SecretsUsedInArgOrEnv", instruction, "ENV", quote(name))
            self.env[name] = value
            entries[name] = f"{name}={value}"
        self.runtime = replace(self.runtime, env=tuple(entries.values()))
        self.commit(" ".join(["ENV", *(f"{name}={value}" for name, value in pairs)]))

    def _label(self, instruction: Label) -> None:
        if instruction.legacy:
            self.report("LegacyKeyValueFormat", instruction, instruction.keyword)
        pairs = self._pairs(instruction)
        self.runtime = replace(self.runtime, labels=tuple({**dict(self.runtime.labels), **dict(pairs)}.items()))
        self.commit(" ".join(["LABEL", *(f"{name}={value}" for name, value in pairs)]))

    def _pairs(self, instruction: Env | Label) -> list[tuple[str, str]]:
        # All words see the state before the instruction.
        return [
            (self.expand(pair.key, instruction), self.expand(pair.value, instruction)) for pair in instruction.pairs
        ]

    def _arg(self, instruction: Arg) -> None:
        texts = []
        for argument in instruction.arguments:
            name = argument.name
            if holds_secret(name):
                self.report("SecretsUsedInArgOrEnv", instruction, "ARG", quote(name))
            value, inherited = self.shared.options.build_args.get(name), False
            if value is None and argument.default is not None:
                value = self.expand(argument.default, instruction)
            elif value is None:
                value = self.shared.stages.arguments.get(name)
                inherited = value is not None
            self.gathered.used[name] = None
            if not inherited:
                text = description(instruction, name)
                self.gathered.declared[name] = Declared(name, value or "", text, instruction.lines)
            if value is not None and name not in _NOT_ENV:
                self.env[name] = value
            self.arguments[name] = value
            texts.append(name if value is None else f"{name}={value}")
        self.commit(" ".join(["ARG", *texts]))

    def _workdir(self, instruction: Workdir) -> None:
        path = self.expand(instruction.path, instruction)
        if not self.workdir_set and not path.startswith("/"):
            self.report("WorkdirRelativePath", instruction, quote(path))
        self.workdir_set = True
        workdir = paths.workdir(self.workdir, path)
        self.runtime = replace(self.runtime, workdir=workdir)
        if workdir != "/":
            rooted = self.vertex is not None
            operation = MakeDir(path=paths.clean(workdir), user=self.runtime.user, rooted=rooted)
            self.step(operation, (), instruction, self.display(instruction.display))
        self.commit(f"WORKDIR {workdir}", layer=workdir != "/")

    def _user(self, instruction: User) -> None:
        user = self.expand(instruction.user, instruction)
        self.runtime = replace(self.runtime, user=user)
        self.commit(f"USER {user}")

    def _cmd(self, instruction: Cmd) -> None:
        self._once(instruction)
        words = self._command(instruction, instruction.command)
        self.runtime = replace(self.runtime, cmd=words or None, args_escaped=True)
        self.commit(f"CMD {quoted_list(words)}")

    def _entrypoint(self, instruction: Entrypoint) -> None:
        self._once(instruction)
        words = self._command(instruction, instruction.command)
        self.runtime = replace(self.runtime, entrypoint=words or None)
        if Cmd not in self._seen:
            self.runtime = replace(self.runtime, cmd=None)
        self.commit(f"ENTRYPOINT {quoted_list(words)}")

    def _command(self, instruction: Instruction, command: Command) -> tuple[str, ...]:
        if not command.shell:
            return command.words
        if not self.runtime.shell:
            self.report("JSONArgsRecommended", instruction, instruction.keyword)
        return self.with_shell(command.words)

    def _once(self, instruction: Instruction) -> None:
        earlier = self._seen.get(type(instruction))
        if earlier is not None:
            # At the one that has no effect; but what is written above the later one decides whether it is said.
            rule, lines = "MultipleInstructionsDisallowed", earlier.lines
            self.shared.lint.report(rule, lines, instruction.comments, instruction.keyword)
        self._seen[type(instruction)] = instruction

    def _shell(self, instruction: Shell) -> None:
        self.runtime = replace(self.runtime, shell=instruction.words)
        self.commit(f"SHELL {plain_list(instruction.words)}")

    def _healthcheck(self, instruction: Healthcheck) -> None:
        self._once(instruction)
        h = HealthCheck(
            test=instruction.test,
            interval=instruction.interval,
            timeout=instruction.timeout,
            start_period=instruction.start_period,
            start_interval=instruction.start_interval,
            retries=instruction.retries,
        )
        self.runtime = replace(self.runtime, healthcheck=h)
        self.commit(
            f"HEALTHCHECK {{Test:{plain_list(h.test)} Interval:{duration(h.interval)} Timeout:{duration(h.timeout)} "
            f"StartPeriod:{duration(h.start_period)} StartInterval:{duration(h.start_interval)} Retries:{h.retries}}}"
        )

    def _expose(self, instruction: Expose) -> None:
        expander = Expander(self.env)
        names: list[str] = []
        for text in [text for word in instruction.ports for text in expander.split(word)]:
            ports = parse_ports(text)
            if ports.cased:
                self.report("ExposeProtoCasing", instruction, text)
            if ports.mapped:
                self.report("ExposeInvalidFormat", instruction, text)
            names += ports.names
            if len(names) > _MOST_PORTS:
                raise LowerFault(f"EXPOSE names more than {_MOST_PORTS} ports", "name a range once")
        self.runtime = replace(self.runtime, exposed=tuple(dict.fromkeys((*self.runtime.exposed, *names))))
        self.commit(f"EXPOSE {plain_list(names)}")

    def _volume(self, instruction: Volume) -> None:
        volumes = [self.expand(word, instruction) for word in instruction.paths]
        if not all(volumes):
            raise LowerFault("VOLUME specified can not be an empty string")
        self.runtime = replace(self.runtime, volumes=tuple(dict.fromkeys((*self.runtime.volumes, *volumes))))
        self.commit(f"VOLUME {plain_list(volumes)}")

    def _stopsignal(self, instruction: StopSignal) -> None:
        signal = self.expand(instruction.signal, instruction)
        if not is_signal(signal):
            raise LowerFault(f"invalid signal: {signal}", "write it as SIGTERM, TERM, 15 or SIGRTMIN+3")
        self.runtime = replace(self.runtime, stop_signal=signal)
        self.commit(f"STOPSIGNAL {signal}")

    def _onbuild(self, instruction: Onbuild) -> None:
        self.runtime = replace(self.runtime, onbuild=(*self.runtime.onbuild, instruction.trigger))

    def _maintainer(self, instruction: Maintainer) -> None:
        self.config = replace(self.config, author=instruction.name)
        self.commit(f"MAINTAINER {instruction.name}")

    def _run(self, instruction: Run) -> None:
        from frontends.dockerfile.run import fold_run

        fold_run(self, instruction)

    def _transfer(self, instruction: Copy | Add) -> None:
        from frontends.dockerfile.copying import fold_copy

        fold_copy(self, instruction)


def _nearest(name: str, known: Iterable[str]) -> str:
    match = suggest(name, known)
    return f" (did you mean ${match}?)" if match else ""


def step_prefix(title: str, done: int, total: int, place: str = "") -> str:
    """`[build  2/14] `, or nothing where the stage has no steps. place: the platform, where it is to be shown."""
    if not total:
        return ""
    return f"[{place + ' ' if place else ''}{title + ' ' if title else ''}{done:>{len(str(total))}}/{total}] "


def crossed(base: Platform, env: dict[str, str]) -> str:
    """`->arm64` if the TARGET* arguments that a step sees are of another platform than its own."""
    target = None
    if "TARGETPLATFORM" in env:
        try:
            target = Platform.parse(env["TARGETPLATFORM"])
        except Fault:
            target = None
    if target is None and not {"TARGETOS", "TARGETARCH", "TARGETVARIANT"} & env.keys():
        return ""
    if target is None:
        target = Platform(env.get("TARGETARCH", ""), env.get("TARGETOS", ""), env.get("TARGETVARIANT", ""))
    target = normalise(replace(target, os=target.os or base.os, architecture=target.architecture or base.architecture))
    if target.os != base.os:
        return f"->{target.full}"
    if target.architecture != base.architecture:
        return "->" + "/".join(part for part in (target.architecture, target.variant) if part)
    return ""


def upper_keyword(text: str) -> str:
    keyword, blank, rest = text.partition(" ")
    return keyword.upper() + blank + rest


def empty_image(platform: Platform) -> ImageConfig:
    """What FROM scratch begins with."""
    env = () if platform.os == "windows" else (f"PATH={DEFAULT_PATH}",)
    return ImageConfig(platform=platform, runtime=RuntimeConfig(env=env, workdir="/"))


_HANDLERS: dict[type, Callable[[Fold, Any], None]] = {
    Add: Fold._transfer, Arg: Fold._arg, Cmd: Fold._cmd, Copy: Fold._transfer, Entrypoint: Fold._entrypoint,
    Env: Fold._env, Expose: Fold._expose, Healthcheck: Fold._healthcheck, Label: Fold._label,
    Maintainer: Fold._maintainer, Onbuild: Fold._onbuild, Run: Fold._run, Shell: Fold._shell,
    StopSignal: Fold._stopsignal, User: Fold._user, Volume: Fold._volume, Workdir: Fold._workdir,
}  # fmt: skip
