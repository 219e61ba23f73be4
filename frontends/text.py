"""Source: a text as it was read, lines of it drawn as an excerpt, and the nearest word to a mistyped one."""

from collections.abc import Iterable

import msgspec

RULE = "-" * 20
_WIDTH, _HEIGHT = 1000, 40  # characters of a line and lines that are drawn at most


class Lines(msgspec.Struct, frozen=True, array_like=True):
    """first and last line of a piece of text, counted from 1."""

    first: int
    last: int


class Source(msgspec.Struct, frozen=True):
    """name: as shown to people, `Dockerfile`; data: the bytes as read."""

    name: str
    data: bytes

    def excerpt(self, lines: Lines) -> str:
        """Lines with their neighbours (two each side of one line, one each side of more), without a final newline.

        Drawn as BuildKit's solver/errdefs does it, but for what is very long; "" where the lines are not in the text.
        """
        texts = self.data.decode("utf-8", "replace").split("\n")
        if not 1 <= lines.first <= len(texts):
            return ""
        first, last = lines.first, min(lines.last, len(texts))
        for _ in range(2 if first == last else 1):
            first, last = max(first - 1, 1), min(last + 1, len(texts))
        drawn = [f"{self.name}:{lines.first}", RULE]
        end = last if last - first < _HEIGHT else first + _HEIGHT - 1
        for number in range(first, end + 1):
            mark = ">>>" if lines.first <= number <= lines.last else "   "
            drawn.append(f" {number:3d} | {mark} {_cut(texts[number - 1].removesuffix(chr(13)))}")
        if end < last:
            drawn.append(f"     | and {last - end} lines more")
        return "\n".join([*drawn, RULE])


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}… and {len(line) - _WIDTH} characters more"


def suggest(word: str, known: Iterable[str], *, ignore_case: bool = False) -> str:
    """The known word within two edits of `word`, or ""; "" too when the word itself is known."""
    wanted = word.lower() if ignore_case else word
    best, distance = "", 3
    for option in known:
        compared = option.lower() if ignore_case else option
        if compared == wanted:
            return ""
        if abs(len(compared) - len(wanted)) < distance and (found := _distance(wanted, compared)) < distance:
            best, distance = option, found
    if not ignore_case:
        return best
    return best.upper() if word == word.upper() else best.lower()


def did_you_mean(word: str, known: Iterable[str], *, ignore_case: bool = False) -> str:
    """` (did you mean x?)`, or "" where nothing is near."""
    match = suggest(word, known, ignore_case=ignore_case)
    return f" (did you mean {match}?)" if match else ""


def _distance(left: str, right: str) -> int:
    """Levenshtein's edit distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
