"""sprintf, with the verbs of Go's fmt that values of Rego have."""

from __future__ import annotations

import json
import re

from builder.policy.rego.faults import Undefined
from builder.policy.rego.values import Value, shown

_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])", re.ASCII)
_WIDEST = 10_000


def sprintf(form: str, values: list[Value]) -> str:
    """Raises Undefined for what Go would only write a complaint about into the text."""
    waiting = list(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match[1], int(match[2] or 0), match[3], match[4]
        if width > _WIDEST or int(precision or 0) > _WIDEST:
            raise Undefined
        if verb == "%":
            return "%"
        if not waiting:
            raise Undefined
        text = _written(waiting.pop(0), flags, precision, verb)
        if "-" in flags:
            return text.ljust(width)
        return text.zfill(width) if "0" in flags and verb != "s" else text.rjust(width)

    if "%" in _VERB.sub("", form):
        raise Undefined
    text = _VERB.sub(one, form)
    if waiting:
        raise Undefined
    return text


def _written(value: Value, flags: str, precision: str | None, verb: str) -> str:
    plus = "+" if "+" in flags else ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and float(value).is_integer()
    if verb in ("v", "s"):
        text = value if isinstance(value, str) else shown(value)
        return text[: int(precision)] if precision and verb == "s" else text
    if verb == "q" and isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if verb in "dxXob" and whole:
        return format(int(value), plus + verb)
    if verb in ("x", "X") and isinstance(value, str):
        return format(int.from_bytes(value.encode(), "big"), verb) if value else ""
    if verb in "feEgG" and number:
        return format(
            float(value), f"{plus}.{precision or 6}{verb}" if verb not in "gG" or precision else f"{plus}{verb}"
        )
    if verb == "t" and isinstance(value, bool):
        return str(value).lower()
    raise Undefined
