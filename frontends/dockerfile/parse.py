"""parse: a Dockerfile's bytes to its tree, remembered by the bytes' digest so that lark is not needed twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from cache import record
from cache.digest import Digest
from frontends.dockerfile.instructions import AnyInstruction, Arg, From, Tree
from frontends.errors import FrontendFault, LowerFault, ParseFault
from frontends.text import Lines, Source

if TYPE_CHECKING:
    from frontends.dockerfile.lines import LogicalLine
    from frontends.dockerfile.statement import Statement

# Part of what a remembered tree is named by: raise it with any change of the grammar or of the tree's classes.
PARSE_VERSION = 4


class Memo(Protocol):
    """Small records by key; a lost one costs time only."""

    def get(self, key: Digest) -> bytes | None: ...

    def put(self, key: Digest, value: bytes) -> None: ...


class Forgetful:
    """A Memo that keeps nothing."""

    def get(self, key: Digest) -> bytes | None:
        return None

    def put(self, key: Digest, value: bytes) -> None:
        return None


class Dockerfile(msgspec.Struct, frozen=True):
    """A parsed Dockerfile and the text it came from."""

    source: Source
    tree: Tree


def parse(source: Source, memo: Memo | None = None, syntax: str = "", *, whole: bool = True) -> Dockerfile:
    """Parse a Dockerfile. Raises ParseFault with the place, worded as BuildKit does.

    As there, the number of the line is in the words only where an instruction is wrong, not where the text is.
    syntax: a frontend image that stands in for what the text asks for (BUILDKIT_SYNTAX). whole: False for
    instructions alone, which need no FROM.
    """
    memo = Forgetful() if memo is None else memo
    key = Digest.of(b"dockerfile\0%d\0%d\0" % (PARSE_VERSION, bool(syntax)) + source.data)
    if syntax:
        from frontends.dockerfile.directives import check_frontend

        check_frontend(syntax.strip(), source)
    known = record.recall(memo.get(key), Tree)
    if known is not None:
        return Dockerfile(source, known)
    tree = _parse(source, own_syntax=not syntax, whole=whole)
    memo.put(key, record.encode(tree))
    return Dockerfile(source, tree)


def _parse(source: Source, *, own_syntax: bool, whole: bool) -> Tree:
    from frontends.dockerfile.directives import check_directive, refuse_other_syntax
    from frontends.dockerfile.syntax import instruction

    if not source.data:
        raise ParseFault("the Dockerfile cannot be empty", "begin it with FROM", source=source)
    if own_syntax:
        refuse_other_syntax(source)
    lines, statements = _statements(source)
    if not statements:
        last = len(source.data.splitlines()) or 1
        raise ParseFault("file with no instructions", "begin it with FROM", source=source, lines=Lines(last, last))
    found: list[AnyInstruction] = []
    for statement in statements:
        try:
            found.append(instruction(statement))
        except ParseFault as error:
            if whole:
                check_begin(found, source)  # what is wrong further up is told first
            message = f"dockerfile parse error on line {statement.lines.first}: {error.message}"
            raise ParseFault(message, error.hint, source=source, lines=statement.lines) from None
        except FrontendFault as error:
            if whole:
                check_begin(found, source)
            raise error.at(source, statement.lines) from None
    blanks = tuple(Lines(line.blank, line.blank) for line in lines if line.blank)
    return Tree(tuple(found), check_directive(source.data), blanks)


def check_begin(instructions: Iterable[AnyInstruction], source: Source) -> None:
    """LowerFault where anything but an ARG stands before the first FROM."""
    for instruction in instructions:
        if isinstance(instruction, From):
            return
        if not isinstance(instruction, Arg):
            hint = "begin the file with FROM; only ARG may stand before it"
            raise LowerFault("no build stage in current context", hint, source=source, lines=instruction.lines)


def _statements(source: Source) -> tuple[list[LogicalLine], list[Statement]]:
    """The whole text taken apart, before any instruction in it is looked at."""
    from frontends.dockerfile.lines import Reader
    from frontends.dockerfile.statement import Statement

    reader = Reader(source)
    lines, statements = [], []
    for line in reader:
        try:
            statements.append(Statement(line, reader.directives.escape))
        except ParseFault as error:
            raise error.at(source, line.lines) from None
        lines.append(line)
    return lines, statements
