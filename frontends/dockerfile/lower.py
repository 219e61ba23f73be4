"""lower: a parsed Dockerfile to a Program, pure but for the one question it asks: what is this image?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from builder.graph.graph import GraphBuilder, VertexInfo
from builder.graph.operation import Copy as CopyOperation
from builder.graph.operation import Selection
from builder.graph.program import Program, Resolver, Warning
from builder.oci.config import History, ImageConfig
from builder.oci.platform import Platform, normalise
from cache.digest import Digest
from cache.errors import Fault
from frontends.dockerfile.dispatch import dispatch
from frontends.dockerfile.fold import Fold, Shared, StageState, empty_image
from frontends.dockerfile.instructions import LAYER_MAKING, Arg
from frontends.dockerfile.lint import Lint, parse_check
from frontends.dockerfile.options import LowerOptions, is_predefined, proxy_env
from frontends.dockerfile.outline import Gathered, Outline, global_arguments
from frontends.dockerfile.outline import outline as outline_of
from frontends.dockerfile.parse import Dockerfile, Memo
from frontends.dockerfile.reach import Reach
from frontends.dockerfile.stages import SCRATCH, Stage, Stages, cut, platform_arguments, read_stages
from frontends.dockerfile.stepname import step_prefix
from frontends.dockerfile.style import check_style
from frontends.dockerfile.trees import Trees
from frontends.errors import FrontendFault

__all__ = ["check", "lower", "outline", "proxy_env"]

_CHECK = "BUILDKIT_DOCKERFILE_CHECK"

replace = msgspec.structs.replace


def lower(
    dockerfile: Dockerfile,
    options: LowerOptions,
    resolve: Resolver,
    *,
    memo: Memo | None = None,
    ignored: Callable[[str], bool] = lambda path: False,
    graph: GraphBuilder | None = None,
    failing: Callable[[tuple[Warning, ...]], None] = lambda findings: None,
) -> Program:
    """Fold the stages that the target needs. Raises FrontendFault with the place in the text.

    resolve is asked once for each image and platform. memo: for ONBUILD triggers of images, as in `parse`.
    ignored: whether the ignore file hides a path of the context for certain (only for the lint rule).
    graph: to add to that of other platforms, so that what they have in common is one vertex; the last program has all.
    failing: told the findings that there are before a fault is raised.
    """
    lint = _lint(dockerfile, options)
    try:
        return _Lowering(dockerfile, options, resolve, memo, ignored, lint, graph).program()
    except Fault:
        failing(lint.findings())
        raise


class Checked(msgspec.Struct, frozen=True):
    """fault: what a build would fail of, if the text is why."""

    findings: tuple[Warning, ...]
    fault: FrontendFault | None = None


def check(
    dockerfile: Dockerfile,
    options: LowerOptions,
    resolve: Resolver,
    *,
    memo: Memo | None = None,
    ignored: Callable[[str], bool] = lambda path: False,
) -> Checked:
    """The findings of the lint rules in all stages, or in those that the target needs. Arguments as for `lower`."""
    lint = None
    try:
        lint = _lint(dockerfile, options)
        _Lowering(dockerfile, options, resolve, memo, ignored, lint).program(every_stage=not options.target)
    except FrontendFault as error:
        return Checked(_of_rules(lint) if lint is not None else (), error)
    return Checked(_of_rules(lint))


def _of_rules(lint: Lint) -> tuple[Warning, ...]:
    """What is told of a build alone, that nobody takes a build argument, is no fault of the text."""
    return tuple(warning for warning in lint.findings() if warning.rule)


def outline(
    dockerfile: Dockerfile,
    options: LowerOptions,
    resolve: Resolver,
    *,
    memo: Memo | None = None,
    ignored: Callable[[str], bool] = lambda path: False,
    found: Callable[[tuple[Warning, ...]], None] = lambda findings: None,
) -> Outline:
    """The parameters of the target. found: told the findings, also before a fault. Else as for `lower`."""
    lint = _lint(dockerfile, options)
    try:
        return _Lowering(dockerfile, options, resolve, memo, ignored, lint).outline()
    finally:
        found(lint.findings())


def _lint(dockerfile: Dockerfile, options: LowerOptions) -> Lint:
    given = options.build_args.get(_CHECK)
    check = parse_check(dockerfile.tree.check) if given is None else parse_check(given, f"build-arg:{_CHECK}")
    return Lint(check, dockerfile.source.name)


class _Lowering:
    """One call of lower: what it has made so far."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        options: LowerOptions,
        resolve: Resolver,
        memo: Memo | None,
        ignored: Callable[[str], bool],
        lint: Lint,
        graph: GraphBuilder | None = None,
    ) -> None:
        self._dockerfile = dockerfile
        self._options = options
        self._lint = lint
        check_style(dockerfile.tree, self._lint)
        self._stages: Stages = read_stages(dockerfile, options, self._lint)
        self._graph = graph or GraphBuilder()
        self._states: dict[int, StageState] = {}
        self._made: dict[int, Digest | None] = {}
        self._trees = Trees(dockerfile.source, options, resolve, self._stages, self._graph, self._made)
        self._reach = Reach(dockerfile.source, options, self._stages, self._trees, memo)
        self._alone = self._stages.alone()
        self._never_cached = {name.lower() for name in options.no_cache_filter}
        self._fresh: set[Digest] = set()
        self._shared = Shared(
            source=dockerfile.source,
            options=options,
            lint=self._lint,
            graph=self._graph,
            stages=self._stages,
            tree=self._trees.tree,
            ignored=ignored,
        )

    def program(self, *, every_stage: bool = False) -> Program:
        target = self._stages.target(self._options.target)
        self._lower_stages(range(len(self._stages.stages)) if every_stage else [target])
        state = self._as_layers(self._states[target], self._stages.stages[target].title)
        self._warn_unused()
        return Program(
            graph=self._graph.graph(),
            target=state.vertex,
            base=state.base,
            steps=state.steps,
            config=self._finish(state.config),
            platform=self._options.platform,
            warnings=self._lint.finish(),
            fresh=frozenset(self._fresh),
        )

    def outline(self) -> Outline:
        target = self._stages.target(self._options.target)
        self._lower_stages([target])
        heads, globals_, _ = cut(self._dockerfile)
        start = platform_arguments(self._options, self._options.target or heads[-1].stage)
        found = [(heads[i], self._states[i].gathered or Gathered()) for i in self._reach.in_order(target)]
        known = global_arguments(globals_, start, self._options.build_args)
        return outline_of(heads[target], known, found, self._stages.arguments)

    def _lower_stages(self, targets: Iterable[int]) -> None:
        for stage in self._stages.stages:
            self._trees.check(stage)
        for index in self._reach.of(targets):
            self._states[index] = state = self._lower_stage(self._stages.stages[index])
            self._made[index] = state.vertex

    def _finish(self, config: ImageConfig) -> ImageConfig:
        labels = {**dict(config.runtime.labels), **dict(self._options.labels)}
        config = replace(config, runtime=replace(config.runtime, labels=tuple(labels.items())))
        platform, wanted = config.platform, self._options.platform
        if self._options.platform_given:
            same = (platform.os, platform.architecture) == (wanted.os, wanted.architecture)
            platform = Platform(
                architecture=wanted.architecture,
                os=wanted.os,
                variant=wanted.variant or (platform.variant if same else ""),
                os_version=wanted.os_version or (platform.os_version if same else ""),
                os_features=wanted.os_features or (platform.os_features if same else ()),
            )
        return replace(config, platform=normalise(platform))

    def _warn_unused(self) -> None:
        declared = {
            argument.name
            for instruction in self._dockerfile.tree.instructions
            if isinstance(instruction, Arg)
            for argument in instruction.arguments
        }
        declared |= {name for state in self._states.values() for name in state.arguments}
        unused = [n for n in sorted(self._options.build_args) if n not in declared and not is_predefined(n)]
        if unused:
            self._lint.add(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed")

    # One stage.

    def _lower_stage(self, stage: Stage) -> StageState:
        if stage.context:
            return self._context_state(stage.context, stage, f"[context {stage.context}]")
        triggers = self._reach.triggers[stage.index]
        counted = len(triggers) + sum(isinstance(command, LAYER_MAKING) for command in stage.commands)
        from_image = stage.parent is None and stage.base != SCRATCH
        total = counted + from_image
        title = "" if self._alone else stage.title
        start = self._start(stage, step_prefix(title, 1, total, self._place(stage.platform)))
        fold = Fold(start, self._shared, title, total, int(from_image))
        for command in triggers:
            dispatch(fold, command, onbuild=True)
        for command in stage.commands:
            dispatch(fold, command)
        if stage.title.lower() in self._never_cached:
            self._fresh.update(set(fold.steps) - set(start.steps))
        return fold.result()

    def _place(self, platform: Platform | None) -> str:
        """How a step's name begins where several platforms are built."""
        return (platform or self._options.platform).full if self._options.several else ""

    def _start(self, stage: Stage, prefix: str) -> StageState:
        """What the FROM line gives to the first instruction."""
        if stage.parent is not None:
            parent = self._states[stage.parent]
            state = self._as_layers(parent, self._stages.stages[stage.parent].title)
        elif stage.base == SCRATCH:
            state = StageState(config=empty_image(self._options.platform), platform=self._options.platform)
        else:
            context = self._options.context(stage.base, stage.platform)
            state = self._context_state(context or stage.base, stage, prefix)
            state = self._as_layers(state, stage.base)
        config = replace(state.config, runtime=replace(state.config.runtime, onbuild=()))
        return replace(state, config=config)

    def _context_state(self, name: str, stage: Stage, prefix: str) -> StageState:
        """An image or local folder as it is, before any instruction."""
        platform = stage.platform or self._options.platform
        if self._trees.is_files(name):
            return StageState(config=empty_image(platform), platform=platform, vertex=self._trees.files(name))
        lines = stage.instruction.lines
        image = self._trees.resolved(name, platform, lines)
        found = image.config.platform
        pulled = not self._trees.named(name, platform) and image.config.diff_ids
        if pulled and (found.os, found.architecture) != (platform.os, platform.architecture):
            values = (stage.base, normalise(found).full, normalise(platform).full)
            self._lint.report("InvalidBaseImagePlatform", lines, (), *values)
        vertex = self._trees.image_vertex(image, f"{prefix.rstrip()} FROM {image.name}", lines)
        config = replace(image.config, created="")
        return StageState(config=config, platform=platform, vertex=vertex, base=vertex)

    def _as_layers(self, state: StageState, name: str) -> StageState:
        """The state on layers of its own: a local folder that an image is built on becomes one layer."""
        if state.vertex is None or state.base is not None or state.steps:
            return state
        operation = CopyOperation(sources=(Selection(input=0, path="/"),), dest="/", rooted=False)
        vertex = self._graph.add(operation, (state.vertex,), VertexInfo(f"[context {name}] copy"))
        entry = History(created_by=f"FROM {name}", comment="buildkit.exporter.image.v0", own=True)
        config = replace(state.config, history=(*state.config.history, entry))
        return replace(state, config=config, vertex=vertex, steps=(vertex,))
