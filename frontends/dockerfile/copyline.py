"""COPY and ADD to their instructions: flags, sources, heredocs (instructions/parse.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontends.dockerfile import heredoc
from frontends.dockerfile.flags import BOOL, MANY, TEXT, Flags
from frontends.dockerfile.grammar import grammar
from frontends.dockerfile.instructions import Add, Copy, Document, InlineSource
from frontends.dockerfile.statement import Statement
from frontends.dockerfile.words import Expander, Word, written
from frontends.errors import LowerFault, ParseFault

_COPY_FLAGS = {"chown": TEXT, "chmod": TEXT, "link": BOOL, "exclude": MANY, "from": TEXT, "parents": BOOL}
_ADD_FLAGS = {
    "chown": TEXT, "chmod": TEXT, "link": BOOL, "exclude": MANY,
    "keep-git-dir": BOOL, "checksum": TEXT, "unpack": BOOL,
}  # fmt: skip


def copy(s: Statement) -> Copy:
    flags = _flags(s, _COPY_FLAGS)
    return Copy(
        **_transfer(s, flags),
        source_stage=_source_stage(s.grammar.word(flags.text("from"))),
        parents=flags.switch("parents") or False,
    )


def add(s: Statement) -> Add:
    flags = _flags(s, _ADD_FLAGS)
    return Add(
        **_transfer(s, flags),
        checksum=s.grammar.word(flags.text("checksum")),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


def _flags(s: Statement, known: Mapping[str, str]) -> Flags:
    if len(s.words) < 2:
        raise ParseFault(
            f"{s.name} requires at least two arguments, but only one was provided. Destination could not be determined",
            f"write {s.name} SOURCE... DESTINATION",
        )
    return Flags(s.flags, known)


def _transfer(s: Statement, flags: Flags) -> dict[str, Any]:
    """The fields that COPY and ADD share."""
    paths, inlines, dest = _sources(s)
    return {
        "keyword": s.keyword,
        "lines": s.lines,
        "comments": s.comments,
        "paths": paths,
        "inlines": inlines,
        "dest": dest,
        "display": s.grammar.word(s.text),
        "chown": s.grammar.word(flags.text("chown")),
        "chmod": s.grammar.word(flags.text("chmod")),
        "link": flags.switch("link") or False,
        "exclude": flags.many("exclude"),
    }


def _sources(s: Statement) -> tuple[tuple[Word, ...], tuple[InlineSource, ...], Word]:
    *sources, dest = s.words
    if heredoc.mark(dest):
        raise ParseFault(f"{s.name} cannot accept a heredoc as a destination")
    documents = {document.name: document for document in s.documents}
    paths, inlines = [], []
    for source in sources:
        mark = heredoc.mark(source)
        if mark is None:
            paths.append(s.grammar.word(source))
        else:
            inlines.append(_inline(mark, documents.get(mark.name)))
    return tuple(paths), tuple(inlines), s.grammar.word(dest)


def _inline(mark: heredoc.Mark, document: Document | None) -> InlineSource:
    body = document.data if document else ""
    body = heredoc.chomp(body) if mark.chomp else body
    # A body's rules are fixed: the escape character is the backslash, and quotes are text.
    return InlineSource(mark.name, grammar("\\", quotes=False).word(body) if mark.expand else body)


def _source_stage(name: Word) -> str:
    if Expander({}).expand(name) != written(name):
        raise LowerFault(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
            "as a workaround"
        )
    return written(name)
