"""Records of the store as `du`, `prune` and `system df` show them: buildx's names, words and columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from builder.progress.clean import clean
from builder.template.record import Record
from builder.template.units import human_duration, human_size
from builder.upkeep.usage import Usage

DIGITS = 4  # of sizes in these lists
_CELL = 16  # columns of a label with its blanks: labels end at tab stops


def size(count: float) -> str:
    return human_size(count, DIGITS)


def ago(moment: float | None, now: float) -> str:
    """`3 days ago`; "" if it is not known. Both in seconds since 1970."""
    return "" if moment is None else f"{human_duration(max(now - moment, 0))} ago"


def go_time(moment: float | None) -> str:
    """A time as Go prints it."""
    if moment is None:
        return "0001-01-01 00:00:00 +0000 UTC"
    when = datetime.fromtimestamp(moment, UTC).astimezone()
    fraction = f"{when.microsecond:06}".rstrip("0")
    return when.strftime("%Y-%m-%d %H:%M:%S") + (f".{fraction}" if fraction else "") + when.strftime(" %z %Z")


def as_record(usage: Usage, now: float, *, stars: bool) -> Record:
    """Fields for templates, in the order of their names. stars: mark what is mutable or shared, as tables do."""
    fields = {
        "CreatedAt": go_time(usage.created),
        "Description": clean(usage.description),
        "ID": clean(usage.id) + ("*" if stars and usage.mutable else ""),
        "KeptFor": [clean(word) for word in usage.kept] or None,
        "LastUsedAt": ago(usage.used, now),
        "Mutable": usage.mutable,
        "Parents": list(usage.parents) or None,
        "Reclaimable": usage.reclaimable,
        "Shared": usage.shared,
        "Size": size(usage.size) + ("*" if stars and usage.shared else ""),
        "Type": usage.type,
        "UsageCount": usage.uses,
    }
    return Record(fields, "*commands.diskusageContext")


def pretty(usage: Usage, now: float) -> str:
    """A record in full, one line a fact."""
    parents = [" - " + parent for parent in usage.parents]
    lines = [
        f"ID:           {clean(usage.id)}",
        *(["Parents:", *parents] if parents else []),
        f"Created at:   {go_time(usage.created)}",
        f"Mutable:      {_word(usage.mutable)}",
        f"Reclaimable:  {_word(usage.reclaimable)}",
        f"Shared:       {_word(usage.shared)}",
        f"Size:         {size(usage.size)}",
        f"Description:  {clean(usage.description)}",
        f"Usage count:  {usage.uses}",
        *([f"Last used:    {ago(usage.used, now)}"] if usage.used is not None else []),
        f"Type:         {usage.type}",
        *(["Kept for:", *(f" - {clean(word)}" for word in usage.kept)] if usage.kept else []),
    ]
    return "".join(f"{line}\n" for line in lines)


def summary(usages: Iterable[Usage]) -> str:
    """The lines below a list."""
    usages = tuple(usages)
    total = sum(usage.size for usage in usages)
    shared = sum(usage.size for usage in usages if usage.shared)
    facts = [("Shared", shared), ("Private", total - shared)] if shared else []
    facts += [("Reclaimable", sum(usage.size for usage in usages if usage.reclaimable)), ("Total", total)]
    return labeled([(label, size(count)) for label, count in facts])


def labeled(facts: Sequence[tuple[str, str]]) -> str:
    """Labels and values, aligned by tabs."""
    return "".join(f"{label}:{chr(9) * -(-(_CELL - len(label) - 1) // 8)}{value}\n" for label, value in facts)


def _word(value: bool) -> str:
    return "true" if value else "false"
