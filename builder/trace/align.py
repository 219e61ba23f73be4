"""Which step of an earlier build a step of this one is: by its stage, its place there, and its words.

A plain sequence alignment (Needleman and Wunsch, 1970), so that an instruction put in between is new, and those below
it are still what they were.
"""

from __future__ import annotations

from collections.abc import Sequence

from builder.trace.step import Place

_LARGEST = 40_000  # pairs that are compared; above that, steps are paired in order
_WORDS = 100  # of an instruction that are compared


def aligned(old: Sequence[Place], new: Sequence[Place]) -> dict[int, int]:
    """Index in new -> index in old, for each that has a counterpart. Stages are paired by title, else in order."""
    olds, news = _stages(old), _stages(new)
    pairs = [(title, title) for title in news if title in olds]
    left = [title for title in olds if title not in news]
    pairs += list(zip(left, [title for title in news if title not in olds], strict=False))
    found: dict[int, int] = {}
    for before, now in pairs:
        a, b = olds[before], news[now]
        found |= {b[j]: a[i] for i, j in _pairs([old[i].text for i in a], [new[j].text for j in b])}
    return found


def _stages(places: Sequence[Place]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, place in enumerate(places):
        found.setdefault(place.stage if place.number else place.text, []).append(index)
    for members in found.values():
        members.sort(key=lambda index: places[index].number)
    return found


def _pairs(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    middle = _middle(a[start : len(a) - end], b[start : len(b) - end])
    same = [(n, n) for n in range(start)] + [(len(a) - n, len(b) - n) for n in range(end, 0, -1)]
    return same + [(i + start, j + start) for i, j in middle]


def _middle(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """The pairing of the highest score, in order."""
    words_a, words_b = [_words(text) for text in a], [_words(text) for text in b]
    if len(a) * len(b) > _LARGEST:
        return [(n, n) for n in range(min(len(a), len(b))) if _score(words_a[n], words_b[n])]
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    scores = [[_score(one, other) for other in words_b] for one in words_a]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            paired = best[i + 1][j + 1] + scores[i][j] if scores[i][j] else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if scores[i][j] and best[i][j] == best[i + 1][j + 1] + scores[i][j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


_Words = tuple[str, str, frozenset[str]]  # keyword, text, some of its words


def _words(text: str) -> _Words:
    keyword, *others = text.split(maxsplit=_WORDS)[:_WORDS] or [""]
    return keyword, text, frozenset(others)


def _score(a: _Words, b: _Words) -> float:
    """0 where two instructions have nothing to do with each other: another keyword."""
    if a[0] != b[0]:
        return 0.0
    return 3.0 if a[1] == b[1] else 1.0 + len(a[2] & b[2]) / max(len(a[2] | b[2]), 1)
