"""Source: a text as it was read, lines of it drawn as an excerpt, and the nearest word to a mistyped one."""

from collections.abc import Iterable

import msgspec

RULE = "-" * 20


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

        Drawn as BuildKit's solver/errdefs does it; "" where the lines are not in the text.
        """
        texts = self.data.decode("utf-8", "replace").split("\n")
        if not 1 <= lines.first <= len(texts):
            return ""
        first, last = lines.first, min(lines.last, len(texts))
        for _ in range(2 if first == last else 1):
            first, last = max(first - 1, 1), min(last + 1, len(texts))
        drawn = [f"{self.name}:{lines.first}", RULE]
        for number in range(first, last + 1):
            mark = ">>>" if lines.first <= number <= lines.last else "   "
            drawn.append(f" {number:3d} | {mark} {texts[number - 1].removesuffix(chr(13))}")
        return "\n".join([*drawn, RULE])


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
