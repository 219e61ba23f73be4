"""A step's key as a flat list of named fields, and the fields in which two keys differ."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from builder.trace.step import Step
from builder.trace.trace import Trace


class Difference(msgspec.Struct, frozen=True):
    """One field of a key: before and now, None where it was or is not there."""

    field: str
    before: str | None
    now: str | None


def flat(step: Step, trace: Trace) -> dict[str, str]:
    """Every field by its name, in a fixed order: `env PATH`, `mounts 1`, `parent 1`, `contents 1`, …; as text."""
    steps = trace.by_key()
    found: dict[str, str] = {}
    for name, value in step.fields.items():
        if name == "env":
            found |= {f"env {one.partition('=')[0]}": one.partition("=")[2] for one in value}
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            found |= {f"{name} {number}": _text(one) for number, one in enumerate(value, 1)}
        else:
            found[name] = _text(value)
    for number, parent in enumerate(step.parents, 1):
        known = steps.get(parent)
        found[f"parent {number}"] = f"{parent}{f' {known.name}' if known is not None else ''}"
    for number, digest in enumerate(step.contents, 1):
        read = step.reads[number - 1].name if number <= len(step.reads) else ""
        found[f"contents {number}"] = f"{digest}{f' of {read}' if read else ''}"
    found["version"] = str(trace.keys)
    return found


def differences(before: dict[str, str], now: dict[str, str]) -> list[Difference]:
    """Between two flat keys, in the order of the present one, what is gone last."""
    names = [*now, *(name for name in before if name not in now)]
    return [Difference(n, before.get(n), now.get(n)) for n in names if before.get(n) != now.get(n)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ": ") if isinstance(value, dict) else (", ", ": "))
