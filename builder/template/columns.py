"""Columns of text as Go's text/tabwriter aligns them: a column reaches as far down as lines have a cell in it.

Cells are ended by tabs; what follows the last tab of a line is in no column. Docker's measures: cells at least ten
wide, three blanks between.
"""

from __future__ import annotations

import unicodedata

_LEAST = 10
_GAP = 3


def aligned(text: str) -> str:
    """text: lines with tabs; the same with blanks."""
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[0] * (len(line) - 1) for line in lines]
    deepest = max(len(row) for row in widths)
    for column in range(deepest):
        start = 0
        while start < len(lines):
            end = start
            while end < len(lines) and len(widths[end]) > column:
                end += 1
            if end > start:
                width = max(_LEAST, *(_width(lines[n][column]) + _GAP for n in range(start, end)))
                for number in range(start, end):
                    widths[number][column] = width
            start = end + 1
    return "\n".join(_line(line, row) for line, row in zip(lines, widths, strict=True))


def ellipsis(text: str, most: int) -> str:
    """The text if it is no wider than `most` places, else its beginning and `…`."""
    if _width(text) <= most:
        return text
    while _width(text) > most - 1:
        text = text[: most - 1] if len(text) >= most else text[:-1]
    return f"{text}…"


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=False)]
    return "".join([*padded, cells[-1]])


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
