"""Reach: which stages a target needs, whether they need themselves, and which triggers run in them (ONBUILD)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from frontends.dockerfile.instructions import AnyInstruction, Onbuild
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import Memo, parse
from frontends.dockerfile.stages import SCRATCH, Stage, Stages
from frontends.dockerfile.trees import Trees
from frontends.errors import FrontendFault, LowerFault
from frontends.text import Lines, Source


class Reach:
    """triggers: of the stages that were found to be needed, by index. Asks for the base images of these."""

    def __init__(self, source: Source, options: LowerOptions, stages: Stages, trees: Trees, memo: Memo | None) -> None:
        self.triggers: dict[int, tuple[AnyInstruction, ...]] = {}
        self._source = source
        self._options = options
        self._stages = stages
        self._trees = trees
        self._memo = memo

    def of(self, targets: Iterable[int]) -> list[int]:
        """The indices of all that the targets need, lowest first. Raises LowerFault on a cycle in the file."""
        self._check_cycles()
        return sorted({index for target in targets for index in self._of_one(target)})

    def in_order(self, target: int) -> list[int]:
        """A stage, then what it stands on, then what it copies from, and so on down."""
        found: dict[int, None] = {}
        stack = [target]
        while stack:
            index = stack.pop()
            if index not in found:
                found[index] = None
                stack.extend(reversed(list(self._needs(self._stages.stages[index]))))
        return list(found)

    def _of_one(self, target: int) -> set[int]:
        found: set[int] = set()
        stack = [target]
        while stack:
            stage = self._stages.stages[stack.pop()]
            if stage.index not in found:
                found.add(stage.index)
                if stage.parent is not None:
                    stack.append(stage.parent)  # its own triggers first: they are part of what it hands on
                self.triggers[stage.index] = self._find_triggers(stage)
                stack.extend(self._needs(stage))
        return found

    def _needs(self, stage: Stage) -> Iterator[int]:
        if stage.parent is not None:
            yield stage.parent
        yield from self._reads(stage)

    def _reads(self, stage: Stage) -> dict[int, Lines]:
        """The stages whose files a stage's instructions read, each with the last of these."""
        if stage.context:
            return {}
        found: dict[int, Lines] = {}
        for command in (*self.triggers.get(stage.index, ()), *stage.commands):
            try:
                found |= dict.fromkeys(self._stages.reads(command), command.lines)
            except FrontendFault as error:
                raise error.at(self._source, command.lines) from None
        return found

    def _check_cycles(self) -> None:
        """A fault is drawn with the instructions that lead into the cycle, as validateCircularDependency does."""
        seen: set[int] = set()
        for root in self._stages.stages:
            path: dict[int, Iterator[tuple[int, Lines]]] = {}
            places: list[Lines] = []
            if root.index not in seen:
                seen.add(root.index)
                path[root.index] = iter(self._reads(root).items())
            while path:
                index = next(reversed(path))
                following, lines = next(path[index], (None, None))
                if following is None or lines is None:
                    del path[index]
                    places = places[:-1]
                    continue
                if following in path:
                    text = f"circular dependency detected on stage: {root.title}"
                    raise LowerFault(text, source=self._source, places=(*places, lines))
                if following not in seen:
                    seen.add(following)
                    places.append(lines)
                    path[following] = iter(self._reads(self._stages.stages[following]).items())

    def _find_triggers(self, stage: Stage) -> tuple[AnyInstruction, ...]:
        if stage.context:
            return ()
        if stage.parent is not None:
            parent = self._stages.stages[stage.parent]
            texts = tuple(command.trigger for command in parent.commands if isinstance(command, Onbuild))
        elif stage.base == SCRATCH or self._trees.is_files(self._options.context(stage.base, stage.platform)):
            texts = ()
        else:
            texts = self._trees.image(stage).config.runtime.onbuild
        return tuple(self._trigger(text, stage.instruction.lines) for text in texts)

    def _trigger(self, text: str, lines: Lines) -> AnyInstruction:
        try:
            instructions = parse(Source(self._source.name, text.encode()), self._memo).tree.instructions
        except FrontendFault as error:
            message = error.message.removeprefix("dockerfile parse error on line 1: ")
            raise LowerFault(message, error.hint, source=self._source, lines=lines) from None
        if len(instructions) != 1:
            raise LowerFault("onbuild trigger should be a single expression", source=self._source, lines=lines)
        return replace(instructions[0], lines=lines)
