"""Outline: the parameters that a target takes; Target: what can be built (BuildKit's subrequests of these names)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from frontends.dockerfile.instructions import Arg, From, Instruction
from frontends.dockerfile.parse import Dockerfile
from frontends.dockerfile.words import Expander, written
from frontends.errors import FrontendFault
from frontends.text import Lines


class Declared(msgspec.Struct, frozen=True):
    """An ARG. value: what the build gives it, "" where nothing does. needs: the arguments that its default names."""

    name: str
    value: str
    description: str
    lines: Lines
    needs: tuple[str, ...] = ()


class Needed(msgspec.Struct, frozen=True):
    """A secret or an ssh agent, where it is first mounted."""

    name: str
    required: bool
    lines: Lines


class Outline(msgspec.Struct, frozen=True):
    """name, description: of the target's stage. All lists in the order of the file."""

    name: str
    description: str
    arguments: tuple[Declared, ...] = ()
    secrets: tuple[Needed, ...] = ()
    agents: tuple[Needed, ...] = ()


class Target(msgspec.Struct, frozen=True):
    """A stage. base, platform: as written. default: whether it is what is built if nothing is asked for."""

    name: str
    default: bool
    description: str
    base: str
    platform: str
    lines: Lines


class Gathered:
    """What the instructions of a stage, and of those it is built on, declare and mount."""

    def __init__(self, below: Gathered | None = None) -> None:
        self.used: dict[str, None] = dict(below.used) if below else {}
        self.declared: dict[str, Declared] = dict(below.declared) if below else {}
        self.secrets: dict[str, Needed] = dict(below.secrets) if below else {}
        self.agents: dict[str, Needed] = dict(below.agents) if below else {}


def description(instruction: Instruction, name: str) -> str:
    """The comment above an instruction that begins with the name of what it declares, without that name."""
    if not name:
        return ""
    return next((text[len(name) + 1 :] for text in instruction.comments if text.startswith(f"{name} ")), "")


def targets(dockerfile: Dockerfile) -> tuple[Target, ...]:
    """The stages of a file; no image is asked for."""
    heads = [one for one in dockerfile.tree.instructions if isinstance(one, From)]
    return tuple(
        Target(
            name=head.stage,
            default=head is heads[-1],
            description=description(head, head.stage),
            base=written(head.base),
            platform=written(head.platform) if head.platform is not None else "",
            lines=head.lines,
        )
        for head in heads
    )


def global_arguments(instructions: Iterable[Arg], start: Mapping[str, str], given: Mapping[str, str]) -> Gathered:
    """The ARGs before the first FROM. A name that is declared again keeps what its older defaults needed."""
    values, found = dict(start), Gathered()
    for instruction in instructions:
        for argument in instruction.arguments:
            name = argument.name
            needs: tuple[str, ...] = ()
            if name in given:
                values[name] = given[name]
            elif argument.default is not None:
                expander = Expander(values)
                values[name] = expander.expand(argument.default)
                older = found.declared[name].needs if name in expander.matched and name in found.declared else ()
                needs = tuple(one for one in dict.fromkeys((*expander.matched, *older)) if one != name)
            text = description(instruction, name)
            found.declared[name] = Declared(name, values.get(name, ""), text, instruction.lines, needs)
    return found


def outline(
    head: From, globals_: Gathered, stages: Iterable[tuple[From, Gathered]], values: Mapping[str, str]
) -> Outline:
    """stages: the target's own first, then all that it reads. values: of the global arguments."""
    arguments: dict[str, Declared] = {}
    secrets: dict[str, Needed] = {}
    agents: dict[str, Needed] = {}
    for stage, gathered in stages:
        known = globals_.declared | gathered.declared
        for name in _closure((*_names(stage, values), *gathered.used), known):
            if name in known:
                arguments.setdefault(name, known[name])
        for needed, all_ in ((gathered.secrets, secrets), (gathered.agents, agents)):
            for name, one in needed.items():
                all_.setdefault(name, one)
    return Outline(
        head.stage,
        description(head, head.stage),
        tuple(sorted(arguments.values(), key=lambda one: one.lines.first)),
        tuple(sorted(secrets.values(), key=lambda one: one.lines.first)),
        tuple(sorted(agents.values(), key=lambda one: one.lines.first)),
    )


def _names(stage: From, values: Mapping[str, str]) -> Iterator[str]:
    """The global arguments that a FROM line uses."""
    for word in (stage.base, stage.platform):
        if word is not None:
            expander = Expander(values)
            try:
                expander.expand(word)
            except FrontendFault:
                continue
            yield from expander.matched


def _closure(names: Iterable[str], known: Mapping[str, Declared]) -> list[str]:
    """Names, and all that their defaults need."""
    found: dict[str, None] = {}
    stack = list(reversed(list(names)))
    while stack:
        name = stack.pop()
        if name not in found:
            found[name] = None
            stack.extend(known[name].needs if name in known else ())
    return list(found)
