"""parse: a Dockerfile's bytes to its tree, remembered by the bytes' digest so that lark is not needed twice."""

from __future__ import annotations

from typing import Protocol

import msgspec

from cache import record
from cache.digest import Digest
from frontends.dockerfile.instructions import Tree
from frontends.errors import FrontendFault, ParseFault
from frontends.text import Source

# Part of what a remembered tree is named by: raise it with any change of the grammar or of the tree's classes.
PARSE_VERSION = 2


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


def parse(source: Source, memo: Memo | None = None) -> Dockerfile:
    """Parse a Dockerfile. Raises ParseFault with the place, worded as BuildKit does."""
    memo = Forgetful() if memo is None else memo
    key = Digest.of(b"dockerfile\0%d\0" % PARSE_VERSION + source.data)
    known = record.recall(memo.get(key), Tree)
    if known is not None:
        return Dockerfile(source, known)
    tree = _parse(source)
    memo.put(key, record.encode(tree))
    return Dockerfile(source, tree)


def _parse(source: Source) -> Tree:
    from frontends.dockerfile.lines import Reader
    from frontends.dockerfile.syntax import instruction

    if not source.data:
        raise ParseFault("the Dockerfile cannot be empty", "begin it with FROM", source=source)
    reader = Reader(source)
    found, blanks = [], []
    lines = None
    try:
        for line in reader:
            lines = line.lines
            found.append(instruction(line, reader.directives.escape))
            if line.blank:
                blanks.append(line.lines)
    except FrontendFault as error:
        placed = error.at(source, lines) if lines else error
        if placed.lines is None:
            raise
        message = f"dockerfile parse error on line {placed.lines.first}: {placed.message}"
        raise ParseFault(message, placed.hint, source=source, lines=placed.lines) from None
    if not found:
        raise ParseFault("file with no instructions", "begin it with FROM", source=source)
    return Tree(tuple(found), reader.directives.values.get("check", ""), tuple(blanks))
