"""Stages: the FROM lines resolved with the global ARGs, names of stages, targets (BuildKit's buildDispatchStates)."""

from __future__ import annotations

import msgspec

from builder.oci.platform import Platform
from builder.oci.reference import Reference
from cache.errors import Fault
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import AnyInstruction, Arg, Copy, From, Run
from frontends.dockerfile.lint import Lint
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import Dockerfile, check_begin
from frontends.dockerfile.words import Expander, written
from frontends.errors import FrontendFault, LowerFault
from frontends.text import did_you_mean

SCRATCH = "scratch"


class Stage(msgspec.Struct, frozen=True):
    """base: name after expansion; parent: index of the stage it is, None for an image or scratch.

    context: the named context that stands in for the whole stage, or "". title: its name, or `stage-N`.
    """

    index: int
    instruction: From
    base: str
    parent: int | None
    commands: tuple[AnyInstruction, ...]
    platform: Platform | None = None
    context: str = ""

    @property
    def title(self) -> str:
        return self.instruction.stage or f"stage-{self.index}"


class Stages(msgspec.Struct, frozen=True):
    """All stages of a file. by_name: the last of each name. arguments: the global scope, with platform arguments."""

    stages: tuple[Stage, ...]
    by_name: dict[str, int]
    arguments: dict[str, str]

    def find(self, name: str) -> int | None:
        """The stage that COPY --from or --target means; case does not matter."""
        return self.by_name.get(name.lower())

    def source(self, instruction: Copy) -> int | None:
        """The stage a COPY --from names, by name or index; None for a context or image. Raises LowerFault."""
        name = instruction.source_stage
        if not name.isascii() or not name.removeprefix("-").removeprefix("+").isdigit():
            return self.find(name)
        index = int(name[:10])
        if not 0 <= index < len(self.stages):
            raise LowerFault(f"invalid stage index {index}", f"stages are numbered from 0 to {len(self.stages) - 1}")
        return index

    def reads(self, command: AnyInstruction) -> tuple[int, ...]:
        """The stages whose trees a command reads."""
        if isinstance(command, Copy) and command.source_stage:
            found = self.source(command)
            return () if found is None else (found,)
        if isinstance(command, Run):
            names = [mount_source(mount) for mount in command.mounts]
            return tuple(index for name in names if name and (index := self.find(name)) is not None)
        return ()

    def alone(self) -> bool:
        """Whether steps are shown without the name of their stage.

        BuildKit counts whatever else a step reads (an image, a context, the nothing below a mount) as one more stage.
        """
        commands = [command for stage in self.stages for command in stage.commands]
        return len(self.stages) == 1 and not any(self._reads_another(command) for command in commands)

    def _reads_another(self, command: AnyInstruction) -> bool:
        if isinstance(command, Copy) and command.source_stage:
            return self.source(command) is None
        return isinstance(command, Run) and any(self.find(mount_source(mount)) is None for mount in command.mounts)

    def target(self, name: str) -> int:
        if not name:
            return len(self.stages) - 1
        found = self.find(name)
        if found is None:
            titles = [stage.title for stage in self.stages]
            raise LowerFault(f"target stage {quote(name)} could not be found{did_you_mean(name, titles)}")
        return found


def mount_source(mount: tuple[object, ...]) -> str:
    """The `from` of a --mount, "" if it has none; never expanded, so it is known before anything is."""
    name = ""
    for field in mount:
        key, value = getattr(field, "key", ""), getattr(field, "value", None)
        if key == "from" and value is not None:
            name = written(value)
    return name


def read_stages(dockerfile: Dockerfile, options: LowerOptions, lint: Lint) -> Stages:
    """Cut the file at its FROM lines and resolve their names. Raises LowerFault with the place."""
    heads, globals_, bodies = cut(dockerfile)
    last = heads[-1].stage
    start = platform_arguments(options, options.target or last)
    _check_defaults(heads, globals_, start, lint)
    arguments = _global_arguments(dockerfile, globals_, start, options.build_args)
    declared = {argument.name for arg in globals_ for argument in arg.arguments} | set(arguments)
    stages: list[Stage] = []
    by_name: dict[str, int] = {}
    for index, (head, body) in enumerate(zip(heads, bodies, strict=True)):
        try:
            stage = _stage(index, head, body, by_name, arguments, declared, options, lint)
        except FrontendFault as error:
            raise error.at(dockerfile.source, head.lines) from None
        stages.append(stage)
        if head.stage:
            by_name[head.stage] = index
    return Stages(tuple(stages), by_name, arguments)


def cut(dockerfile: Dockerfile) -> tuple[list[From], list[Arg], list[tuple[AnyInstruction, ...]]]:
    """The FROM lines, the ARGs before the first, and what follows each. Raises LowerFault."""
    check_begin(dockerfile.tree.instructions, dockerfile.source)
    heads: list[From] = []
    arguments: list[Arg] = []
    bodies: list[list[AnyInstruction]] = []
    for instruction in dockerfile.tree.instructions:
        if isinstance(instruction, From):
            heads.append(instruction)
            bodies.append([])
        elif heads:
            bodies[-1].append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
    if not heads:
        raise LowerFault("dockerfile contains no stages to build", "add a FROM line", source=dockerfile.source)
    return heads, arguments, [tuple(body) for body in bodies]


def platform_arguments(options: LowerOptions, target: str) -> dict[str, str]:
    """What the global scope begins with."""
    build, wanted = options.build_platform, options.platform
    values = {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": build.os_version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": wanted.full,
        "TARGETOS": wanted.os,
        "TARGETOSVERSION": wanted.os_version,
        "TARGETARCH": wanted.architecture,
        "TARGETVARIANT": wanted.variant,
        "TARGETSTAGE": target or "default",
    }
    return {name: options.build_args.get(name, value) for name, value in values.items()}


def _global_arguments(
    dockerfile: Dockerfile, instructions: list[Arg], start: dict[str, str], given: dict[str, str]
) -> dict[str, str]:
    arguments = dict(start)
    for instruction in instructions:
        for argument in instruction.arguments:
            if argument.name in given:
                arguments[argument.name] = given[argument.name]
            elif argument.default is not None:
                try:
                    arguments[argument.name] = Expander(arguments).expand(argument.default)
                except FrontendFault as error:
                    raise error.at(dockerfile.source, instruction.lines) from None
    return arguments


def _stage(
    index: int,
    head: From,
    body: tuple[AnyInstruction, ...],
    by_name: dict[str, int],
    arguments: dict[str, str],
    declared: set[str],
    options: LowerOptions,
    lint: Lint,
) -> Stage:
    expander = Expander(arguments)
    base = expander.expand(head.base)
    _report_undeclared(expander, declared, head, lint)
    if not base:
        raise LowerFault(f"base name ({written(head.base)}) should not be blank", "give the ARG it uses a value")
    platform = _platform(head, arguments, declared, lint) if head.platform is not None else None
    context = options.context(head.stage, platform) if head.stage else ""
    parent = by_name.get(base) if not context else None
    return Stage(index, head, base, parent, body, platform, context)


def _platform(head: From, arguments: dict[str, str], declared: set[str], lint: Lint) -> Platform:
    word = head.platform or ""
    expander = Expander(arguments)
    text = expander.expand(word)
    _report_undeclared(expander, declared, head, lint)
    if list(expander.matched) == ["TARGETPLATFORM"] and not expander.missing and text == arguments["TARGETPLATFORM"]:
        lint.report("RedundantTargetPlatform", head.lines, head.comments, written(word))
    nearest = next((found for name in expander.missing if (found := did_you_mean(name, arguments))), "")
    if not text:
        raise LowerFault(f"empty platform value from expression {written(word)}{nearest}")
    try:
        platform = Platform.parse(text)
    except Fault as error:
        reason = error.message.removeprefix(f"failed to parse platform {text}: ")
        raise LowerFault(f"failed to parse platform {written(word)}: {reason}{nearest}", error.hint) from None
    constant = not expander.matched and not expander.missing
    if constant and platform.os not in head.stage and platform.architecture not in head.stage:
        lint.report("FromPlatformFlagConstDisallowed", head.lines, head.comments, quote(text))
    return platform


def _report_undeclared(expander: Expander, declared: set[str], head: From, lint: Lint) -> None:
    for name in expander.missing:
        if name not in declared:
            nearest = did_you_mean(name, sorted(declared))
            lint.report("UndefinedArgInFrom", head.lines, head.comments, name, nearest)


def _check_defaults(heads: list[From], globals_: list[Arg], arguments: dict[str, str], lint: Lint) -> None:
    """Whether every FROM names an image when no --build-arg is given."""
    defaults = dict(arguments)
    try:
        for instruction in globals_:
            for argument in instruction.arguments:
                if argument.default is not None:
                    defaults[argument.name] = Expander(defaults).expand(argument.default)
        for head in heads:
            if not isinstance(head.base, str) and not _is_reference(Expander(defaults).expand(head.base)):
                lint.report("InvalidDefaultArgInFrom", head.lines, (), written(head.base))
    except FrontendFault:
        return  # the build itself fails of the same fault, or is saved by its arguments


def _is_reference(text: str) -> bool:
    try:
        Reference.parse(text)
    except Fault:
        return False
    return True
