"""lines.txt: how a text is cut into instructions and these into flags and arguments, as BuildKit's parser does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontends.dockerfile.directives import check_directive
from frontends.dockerfile.instructions import Document
from frontends.dockerfile.lines import LogicalLine, Reader
from frontends.dockerfile.parse import parse
from frontends.dockerfile.statement import Statement
from frontends.errors import FrontendFault
from frontends.text import Lines, Source

FILE = Path(__file__).with_name("lines.txt")
MARKS = {"⏎": "\n", "⇥": "\t", "␍": "\r", "␠": " ", "‹BOM›": "\ufeff"}


def rows() -> list[tuple[str, str]]:
    found = [line.partition("\t") for line in FILE.read_text("utf-8").split("\n")]
    return [(text, result) for text, tab, result in found if tab]


def test_the_table_is_whole() -> None:
    assert len(rows()) > 380
    assert len({text for text, _ in rows()}) == len(rows())


@pytest.mark.parametrize(("text", "result"), rows())
def test_row(text: str, result: str) -> None:
    for sign, character in MARKS.items():
        text = text.replace(sign, character)
    source = Source("Dockerfile", text.encode())
    try:
        parse(source)
    except FrontendFault as fault:
        at = f"@{_span(fault.lines)} " if fault.lines else ""
        assert f"! {at}{_marked(fault.message)}" == result
        return
    assert f"= {_shown(source)}" == result


def _shown(source: Source) -> str:
    reader = Reader(source)
    lines = list(reader)
    escape, check = reader.directives.escape, check_directive(source.data)
    blank = ",".join(str(line.blank) for line in lines if line.blank)
    parts = [
        f"escape={escape}" if escape != "\\" else "",
        f"check={check}" if check else "",
        " | ".join(_node(line, Statement(line, escape)) for line in lines),
        f"blank@{blank}" if blank else "",
    ]
    return " ".join(filter(None, parts))


def _node(line: LogicalLine, statement: Statement) -> str:
    words = [f"‹{_marked(word)}›" for word in statement.words]
    if statement.name in ("ENV", "LABEL"):
        between = " " if statement.legacy else "="
        words = [f"{key}{between}{value}" for key, value in zip(words[::2], words[1::2], strict=True)]
    parts = [
        *(f"#‹{_marked(comment)}›" for comment in line.comments),
        f"{_span(line.lines)}:{statement.keyword}",
        *map(_marked, statement.flags),
        *([f"[{' '.join(words)}]"] if statement.is_array else words),
        *map(_document, line.documents),
    ]
    return " ".join(parts)


def _document(document: Document) -> str:
    quote = "" if document.expand else "'"
    return f"<<{'-' * document.chomp}{quote}{_marked(document.name)}{quote}{{{_marked(document.data)}}}"


def _span(lines: Lines) -> str:
    return f"{lines.first}-{lines.last}" if lines.last != lines.first else f"{lines.first}"


def _marked(text: str) -> str:
    for sign, character in MARKS.items():
        text = text.replace(character, sign) if sign != "␠" else text  # blanks are marked where they would not be seen
    return text
