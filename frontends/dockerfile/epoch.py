"""SOURCE_DATE_EPOCH that names a source: which one that is (BuildKit's dockerfile2llb/epoch.go)."""

from __future__ import annotations

from collections.abc import Mapping

from builder.graph.operation import RemoteSource
from frontends.dockerfile.instructions import Add, AnyInstruction, Arg, From
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import Dockerfile
from frontends.dockerfile.remote import remote_source
from frontends.dockerfile.stages import SCRATCH, cut
from frontends.dockerfile.words import Expander
from frontends.errors import FrontendFault, LowerFault

NAME = "SOURCE_DATE_EPOCH"
_MAIN = "context"


def epoch_text(document: Dockerfile, given: Mapping[str, str]) -> str:
    """The argument's value: as given, else the default of an ARG before the first FROM; "" if it has none."""
    if NAME in given:
        return given[NAME]
    scope: dict[str, str] = {}
    for instruction in document.tree.instructions:
        if not isinstance(instruction, Arg):
            break
        try:
            _declare(instruction, scope, given)
        except FrontendFault as error:
            raise error.at(document.source, instruction.lines) from None
    return scope.get(NAME, "")


def epoch_source(document: Dockerfile, options: LowerOptions, name: str) -> RemoteSource | None:
    """The remote source of this name: the context, a named one, or a stage's. None if it is not remote. LowerFault."""
    if name == _MAIN:
        return options.sources.get(_MAIN)
    context = options.context(name)
    if context:
        return options.sources.get(context)
    heads, arguments, bodies = cut(document)
    for head, body in zip(heads, bodies, strict=True):
        if head.stage and head.stage == name.lower():
            try:
                return _of_stage(head, body, arguments, options)
            except FrontendFault as error:
                raise error.at(document.source, head.lines) from None
    raise LowerFault(f"invalid {NAME}: {name}", "give whole seconds since 1970-01-01 UTC, or the name of a source")


def _of_stage(
    head: From, body: tuple[AnyInstruction, ...], arguments: list[Arg], options: LowerOptions
) -> RemoteSource:
    scope: dict[str, str] = {}
    for argument in arguments:
        _declare(argument, scope, options.build_args)
    scope.pop(NAME, None)
    if Expander(scope).expand(head.base) != SCRATCH:
        raise LowerFault(f"{NAME} stage must use FROM scratch")
    found: RemoteSource | None = None
    for command in body:
        if isinstance(command, Arg):
            _declare(command, scope, options.build_args)
            continue
        if not isinstance(command, Add):
            raise LowerFault(
                f"{NAME} stage does not meet source-only requirements: unsupported {command.keyword} instruction"
            )
        if found is not None:
            raise LowerFault(f"{NAME} stage must contain exactly one remote ADD")
        found = _added(command, scope)
    if found is None:
        raise LowerFault(f"{NAME} stage must contain exactly one remote ADD")
    return found


def _added(command: Add, scope: dict[str, str]) -> RemoteSource:
    if command.inlines or len(command.paths) != 1:
        raise LowerFault(f"{NAME} stage must contain exactly one remote ADD source")
    source = remote_source(command, Expander(scope).expand(command.paths[0]), Expander(scope).expand(command.checksum))
    if source is None:
        raise LowerFault(f"{NAME} stage source must be a single HTTP(S) or Git ADD")
    return source


def _declare(instruction: Arg, scope: dict[str, str], given: Mapping[str, str]) -> None:
    for argument in instruction.arguments:
        if argument.name in given:
            scope[argument.name] = given[argument.name]
        elif argument.default is not None:
            scope[argument.name] = Expander(scope).expand(argument.default)
