"""lower: a parsed Dockerfile to a Program, pure but for the one question it asks: what is this image?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from builder.graph.gitref import redacted
from builder.graph.graph import GraphBuilder, Span, VertexInfo
from builder.graph.operation import Copy as CopyOperation
from builder.graph.operation import HttpSource, ImageSource, LocalSource, Selection
from builder.graph.program import Program, ResolvedImage, Resolver, Warning
from builder.oci.config import History, ImageConfig
from builder.oci.platform import Platform, normalise
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.errors import Fault
from frontends.dockerfile.fold import Fold, Shared, StageState, empty_image, step_prefix
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import LAYER_MAKING, AnyInstruction, Arg, Onbuild
from frontends.dockerfile.lint import Lint, parse_check
from frontends.dockerfile.options import LowerOptions, is_predefined, proxy_env
from frontends.dockerfile.outline import Gathered, Outline, global_arguments
from frontends.dockerfile.outline import outline as outline_of
from frontends.dockerfile.parse import Dockerfile, Memo, parse
from frontends.dockerfile.stages import SCRATCH, Stage, Stages, cut, platform_arguments, read_stages
from frontends.dockerfile.style import check_style
from frontends.errors import FrontendFault, LowerFault
from frontends.text import Lines, Source, did_you_mean

__all__ = ["check", "lower", "outline", "proxy_env"]

CONTEXT = "context"
_CHECK = "BUILDKIT_DOCKERFILE_CHECK"
_COMMON_IMAGES = ("alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora")

replace = msgspec.structs.replace


def lower(
    dockerfile: Dockerfile,
    options: LowerOptions,
    resolve: Resolver,
    *,
    memo: Memo | None = None,
    ignored: Callable[[str], bool] = lambda path: False,
    graph: GraphBuilder | None = None,
) -> Program:
    """Fold the stages that the target needs. Raises FrontendFault with the place in the text.

    resolve is asked once for each image and platform. memo: for ONBUILD triggers of images, as in `parse`.
    ignored: whether the ignore file hides a path of the context for certain (only for the lint rule).
    graph: to add to that of other platforms, so that what they have in common is one vertex; the last program has all.
    """
    return _Lowering(dockerfile, options, resolve, memo, ignored, _lint(dockerfile, options), graph).program()


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
        return Checked(lint.findings() if lint is not None else (), error)
    return Checked(lint.findings())


def outline(dockerfile: Dockerfile, options: LowerOptions, resolve: Resolver, *, memo: Memo | None = None) -> Outline:
    """The parameters of the target. Arguments and faults as for `lower`."""
    return _Lowering(dockerfile, options, resolve, memo, lambda path: False, _lint(dockerfile, options)).outline()


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
        self._source = dockerfile.source
        self._dockerfile = dockerfile
        self._options = options
        self._resolve = resolve
        self._memo = memo
        self._lint = lint
        check_style(dockerfile.tree, self._lint)
        self._stages: Stages = read_stages(dockerfile, options, self._lint)
        self._graph = graph or GraphBuilder()
        self._images: dict[tuple[str, Platform], ResolvedImage] = {}
        self._triggers: dict[int, tuple[AnyInstruction, ...]] = {}
        self._states: dict[int, StageState] = {}
        self._never_cached = {name.lower() for name in options.no_cache_filter}
        self._fresh: set[Digest] = set()
        self._shared = Shared(
            source=dockerfile.source,
            options=options,
            lint=self._lint,
            graph=self._graph,
            stages=self._stages,
            tree=self._tree,
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
        found = [(heads[i], self._states[i].gathered or Gathered()) for i in self._in_order(target)]
        known = global_arguments(globals_, start, self._options.build_args)
        return outline_of(heads[target], known, found, self._stages.arguments)

    def _lower_stages(self, targets: Iterable[int]) -> None:
        self._check_cycles()
        for index in sorted({index for target in targets for index in self._reachable(target)}):
            self._states[index] = self._lower_stage(self._stages.stages[index])

    def _in_order(self, target: int) -> list[int]:
        """A stage, then what it stands on, then what it copies from, and so on down."""
        found: dict[int, None] = {}
        stack = [target]
        while stack:
            index = stack.pop()
            if index not in found:
                found[index] = None
                stack.extend(reversed(list(self._reads(self._stages.stages[index]))))
        return list(found)

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

    # Which stages are needed.

    def _reads(self, stage: Stage) -> Iterator[int]:
        if stage.context:
            return
        if stage.parent is not None:
            yield stage.parent
        for command in (*self._triggers.get(stage.index, ()), *stage.commands):
            try:
                yield from self._stages.reads(command)
            except FrontendFault as error:
                raise error.at(self._source, command.lines) from None

    def _check_cycles(self) -> None:
        done: set[int] = set()
        for root in self._stages.stages:
            path: dict[int, Iterator[int]] = {}
            stack = [root.index] if root.index not in done else []
            while stack:
                index = stack[-1]
                if index not in path:
                    path[index] = self._reads(self._stages.stages[index])
                following = next((i for i in path[index] if i not in done), None)
                if following is None:
                    done.add(stack.pop())
                    del path[index]
                elif following in path:
                    raise LowerFault(
                        f"circular dependency detected on stage: {root.title}",
                        source=self._source,
                        lines=self._stages.stages[following].instruction.lines,
                    )
                else:
                    stack.append(following)

    def _reachable(self, target: int) -> set[int]:
        """The target and all it reads; triggers of base images are known, and have been asked for, afterwards."""
        found: set[int] = set()
        stack = [target]
        while stack:
            stage = self._stages.stages[stack.pop()]
            if stage.index not in found:
                found.add(stage.index)
                if stage.parent is not None:
                    stack.append(stage.parent)  # its own triggers first: they are part of what it hands on
                self._triggers[stage.index] = self._find_triggers(stage)
                stack.extend(self._reads(stage))
        if any(self._triggers.values()):
            self._check_cycles()
        return found

    # ONBUILD.

    def _find_triggers(self, stage: Stage) -> tuple[AnyInstruction, ...]:
        if stage.context:
            return ()
        if stage.parent is not None:
            parent = self._stages.stages[stage.parent]
            texts = tuple(command.trigger for command in parent.commands if isinstance(command, Onbuild))
        elif stage.base == SCRATCH or self._is_files(self._options.context(stage.base, stage.platform)):
            texts = ()
        else:
            texts = self._image(stage).config.runtime.onbuild
        return tuple(self._trigger(text, stage.instruction.lines) for text in texts)

    def _trigger(self, text: str, lines: Lines) -> AnyInstruction:
        try:
            instructions = parse(Source(self._source.name, text.encode()), self._memo).tree.instructions
        except FrontendFault as error:
            raise LowerFault(error.message, error.hint, source=self._source, lines=lines) from None
        if len(instructions) != 1:
            raise LowerFault("onbuild trigger should be a single expression", source=self._source, lines=lines)
        return replace(instructions[0], lines=lines)

    # Images and other trees.

    def _named(self, name: str, platform: Platform) -> str:
        """The named context that stands for an image, be it called by its own key or by the image's name."""
        return name if name in self._options.contexts else self._options.context(name, platform)

    def _image(self, stage: Stage) -> ResolvedImage:
        platform = stage.platform or self._options.platform
        return self._resolved(stage.base, platform, stage.instruction.lines)

    def _resolved(self, name: str, platform: Platform, lines: Lines) -> ResolvedImage:
        asked = self._named(name, platform) or name
        key = (asked, platform)
        if key not in self._images:
            if asked == name:
                self._check_name(name, lines)
            try:
                self._images[key] = self._resolve(asked, platform)
            except Fault as error:
                known = [*(stage.instruction.stage for stage in self._stages.stages), *_COMMON_IMAGES]
                nearest = did_you_mean(name, filter(None, known))
                raise LowerFault(
                    f"{name}: {error.message}{nearest}", error.hint, source=self._source, lines=lines
                ) from error
        return self._images[key]

    def _check_name(self, name: str, lines: Lines) -> None:
        try:
            Reference.parse(name)
        except Fault as error:
            reason = error.message.removesuffix(f': "{name}"')
            text = f"failed to parse stage name {quote(name)}: {reason}"
            raise LowerFault(text, error.hint, source=self._source, lines=lines) from None

    def _tree(self, name: str, index: int | None, lines: Lines, late: str) -> Digest | None:
        """See Shared.tree."""
        if not name:
            return self._files(CONTEXT)
        if index is not None:
            if index not in self._states:
                raise LowerFault(late, "move that stage up")
            return self._states[index].vertex
        if self._is_files(self._options.context(name)):
            return self._files(self._options.context(name))
        if name == SCRATCH:
            return None
        image = self._resolved(name, self._options.platform, lines)
        return self._image_vertex(image, f"FROM {image.name}", lines)

    def _is_files(self, context: str) -> bool:
        """Whether a named context is files, and no image."""
        return self._options.contexts.get(context) in ("local", "remote")

    def _files(self, name: str) -> Digest:
        remote = self._options.sources.get(name)
        if remote is not None:
            shown = remote.url if isinstance(remote, HttpSource) else remote.remote
            label = "[internal] load" if name == CONTEXT else f"[context {name}]"
            source = self._graph.add(remote, (), VertexInfo(f"{label} {redacted(shown)}"))
            if name != CONTEXT or not self._options.archive or not isinstance(remote, HttpSource):
                return source
            selection = Selection(input=0, path=f"/{remote.name}", unpack=True)
            unpacked = CopyOperation(sources=(selection,), dest="/", rooted=False)
            return self._graph.add(unpacked, (source,), VertexInfo("[internal] unpack build context"))
        shown = "[internal] load build context" if name == CONTEXT else f"[context {name}] load from client"
        return self._graph.add(LocalSource(name=name), (), VertexInfo(shown))

    def _image_vertex(self, image: ResolvedImage, shown: str, lines: Lines) -> Digest | None:
        if not image.config.diff_ids:
            return None
        operation = ImageSource(manifest=image.manifest, diff_ids=image.config.diff_ids)
        info = VertexInfo(shown, Span(self._source.name, lines.first, lines.last))
        return self._graph.add(operation, (), info)

    # One stage.

    def _lower_stage(self, stage: Stage) -> StageState:
        if stage.context:
            return self._context_state(stage.context, stage, f"[context {stage.context}]")
        triggers = self._triggers[stage.index]
        counted = len(triggers) + sum(isinstance(command, LAYER_MAKING) for command in stage.commands)
        from_image = stage.parent is None and stage.base != SCRATCH
        total = counted + from_image
        title = stage.title if len(self._stages.stages) > 1 else ""
        start = self._start(stage, step_prefix(title, 1, total, self._place(stage.platform)))
        fold = Fold(start, self._shared, title, total, int(from_image))
        for command in triggers:
            fold.apply(command, onbuild=True)
        for command in stage.commands:
            fold.apply(command)
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
        if self._is_files(name):
            return StageState(config=empty_image(platform), platform=platform, vertex=self._files(name))
        lines = stage.instruction.lines
        image = self._resolved(name, platform, lines)
        found = image.config.platform
        if (found.os, found.architecture) != (platform.os, platform.architecture) and not stage.context:
            values = (stage.base, normalise(found).full, normalise(platform).full)
            self._lint.report("InvalidBaseImagePlatform", lines, stage.instruction.comments, *values)
        vertex = self._image_vertex(image, f"{prefix.rstrip()} FROM {image.name}", lines)
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
