"""sprintf, with the verbs of Go's fmt that values of Rego have."""

from __future__ import annotations

import json
import re

from builder.policy.rego.faults import RegoError
from builder.policy.rego.values import Value, shown

_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])", re.ASCII)
_WIDEST = 10_000
_VERBS = {"string": "vsxXqT", "int": "vdboOxXcqUT", "float64": "vbgGeEfFxXT", "big.Int": "vsdboOxXT"}


def sprintf(form: str, values: list[Value]) -> str:
    """As in OPA, whole numbers are Go's int and big.Int, others float64, and what is no number is its text.

    What a verb is not for, Go complains of in the text: `%!d(string=a)`. Raises RegoError for what is not known here.
    """
    waiting = list(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match[1], int(match[2] or 0), match[3], match[4]
        if width > _WIDEST or int(precision or 0) > _WIDEST:
            raise _unfit(match[0], "too wide")
        if verb == "%":
            return "%"
        if not waiting:
            return f"%!{verb}(MISSING)"
        value = waiting.pop(0)
        text = _written(value, flags, precision, verb)
        if text is None:
            if match[0] != f"%{verb}" or verb in _VERBS[_type(value)]:
                raise _unfit(match[0], shown(value))
            return f"%!{verb}({_described(value)})"
        if "-" in flags:
            return text.ljust(width)
        return text.zfill(width) if "0" in flags and _is_number(value) else text.rjust(width)

    if "%" in _VERB.sub("", form):
        raise _unfit(form, "no verb")
    text = _VERB.sub(one, form)
    return text + f"%!(EXTRA {', '.join(map(_described, waiting))})" if waiting else text


def _type(value: Value) -> str:
    if not _is_number(value):
        return "string"
    return "float64" if isinstance(value, float) else "int" if -(2**63) <= value < 2**63 else "big.Int"


def _described(value: Value) -> str:
    text = _written(value, "", None, "v")
    if text is None or _type(value) == "big.Int":
        raise _unfit("%v", shown(value))
    return f"{_type(value)}={text}"


def _unfit(what: str, problem: str) -> RegoError:
    return RegoError("", "eval_builtin_error", f"sprintf: {what!r:.60} does not fit: {problem:.60}")


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(value: Value, flags: str, precision: str | None, verb: str) -> str | None:
    """None for what this verb is not for."""
    if not _is_number(value):
        return _text(value if isinstance(value, str) else shown(value), flags, precision, verb)
    plus = "+" if "+" in flags else ""
    if set(flags) & {"#", " "}:
        return None
    if isinstance(value, int):
        if precision is not None:
            return None
        if verb in "dxXob":
            return format(value, plus + verb)
        return format(value, f"{plus}d") if verb == "v" or (verb == "s" and _type(value) == "big.Int") else None
    if verb in "feEF":
        digits = 6 if precision is None else int(precision or 0)
        return f"{value:{plus}.{digits}{verb}}"
    if verb == "v" and precision is None and 1e-4 <= abs(value) < 1e16:
        return f"{plus * (value > 0)}{value!r}"
    return None


def _text(text: str, flags: str, precision: str | None, verb: str) -> str | None:
    if set(flags) - {"-"}:
        return None
    if precision is not None:
        return text[: int(precision or 0)] if verb == "s" else None
    if verb in "vs":
        return text
    if verb == "q":
        return json.dumps(text, ensure_ascii=False) if text.isprintable() else None
    return text.encode().hex() if verb == "x" else text.encode().hex().upper() if verb == "X" else None
