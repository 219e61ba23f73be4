"""--summary: the steps of a build as a table."""

from __future__ import annotations

from collections.abc import Iterable

from builder.progress.clean import clean
from builder.progress.renderer import human_size
from builder.template.columns import aligned
from builder.trace.reasons import quoted
from builder.trace.trace import Outcome

_WORDS = {"cached": "CACHED", "failed": "FAILED", "canceled": "CANCELED"}


def step_table(outcomes: Iterable[Outcome]) -> str:
    """STEP, CACHE (CACHED, or why not), TIME, SIZE of the layer, FILES changed; "" if there is no step."""
    lines = ["\t".join(("STEP", "CACHE", "TIME", "SIZE", "FILES"))]
    lines += ["\t".join(_row(outcome)) for outcome in outcomes]
    return aligned("".join(f"{line}\n" for line in lines)) if len(lines) > 1 else ""


def cache_words(outcome: Outcome) -> str:
    """`CACHED`, or why not."""
    word = _WORDS.get(outcome.state, "")
    return clean(": ".join(part for part in (word, outcome.why) if part)) or "-"


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        clean(quoted(outcome.name)),
        cache_words(outcome).replace("\t", " "),
        "" if outcome.state == "cached" else f"{outcome.seconds:.1f}s",
        human_size(outcome.size) if outcome.layer else "",
        str(outcome.files) if outcome.files is not None else "",
    )
