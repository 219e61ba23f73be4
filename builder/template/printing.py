"""Go's fmt, as far as templates print with it: %v of everything, and the verbs of printf."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from builder.template.record import Record, kind

_WIDEST = 10_000
_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d*))?(?P<verb>.)?", re.DOTALL)
_FLOATS = "eEfFgG"
_BASES = {"d": "d", "o": "o", "O": "o", "x": "x", "X": "X", "b": "b"}


def show(value: Any, *, nested: bool = False) -> str:
    """%v"""
    if value is None:
        return "<nil>" if nested else "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _shortest(value)
    if isinstance(value, Record):
        return "{" + " ".join(show(v, nested=True) for v in value.values()) + "}"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{show(value[k], nested=True)}" for k in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(v, nested=True) for v in value) + "]"
    return str(value)


def joined(values: tuple[Any, ...]) -> str:
    """print: a blank between two operands of which none is a string."""
    text = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            text += " "
        text += show(value, nested=True)
    return text


def printf(form: str, values: tuple[Any, ...]) -> str:
    """Sprintf: what does not fit is shown in the text as `%!d(string=x)`."""
    left = list(values)
    text = _VERB.sub(lambda match: _formatted(match, left), form)
    if left:
        text += "%!(EXTRA " + ", ".join(f"{kind(v)}={show(v, nested=True)}" for v in left) + ")"
    return text


def _formatted(match: re.Match[str], left: list[Any]) -> str:
    verb = match["verb"]
    if verb is None:
        return "%!(NOVERB)"
    if verb == "%":
        return "%"
    flags = match["flags"]
    width, precision = _count(match["width"], left), _count(match["precision"], left)
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    if not left:
        return f"%!{verb}(MISSING)" if verb != "!" else "%!!(NOVERB)"
    text = _verb(verb, left.pop(0), flags, precision)
    width = min(width or 0, _WIDEST)
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and not text.startswith("%!"):
        sign = text[:1] if text[:1] in ("+", "-") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _count(text: str | None, left: list[Any]) -> int | None:
    if text is None:
        return None
    if text == "*":
        value = left.pop(0) if left else 0
        return max(-_WIDEST, min(value, _WIDEST)) if isinstance(value, int) else 0
    return min(int(text[:9] or 0), _WIDEST)


def _verb(verb: str, value: Any, flags: str, precision: int | None) -> str:
    wrong = f"%!{verb}({kind(value)}={show(value, nested=True)})" if value is not None else f"%!{verb}(<nil>)"
    if verb == "T":
        return kind(value)
    if verb == "v":
        return _go_syntax(value) if "#" in flags else show(value, nested=True)
    if isinstance(value, list | tuple) and verb not in "xX":
        return "[" + " ".join(_verb(verb, one, flags, precision) for one in value) + "]"
    if isinstance(value, bool):
        return show(value) if verb == "t" else wrong
    if isinstance(value, str):
        return _string(verb, value, flags, precision) or (wrong if verb not in "sqxX" else "")
    if isinstance(value, int):
        return _integer(verb, value, flags) or wrong
    if isinstance(value, float) and verb in _FLOATS:
        return (
            f"{value:{'+' if '+' in flags else ''}.{6 if precision is None else precision}{verb}}"
            if (verb not in "gG" or precision is not None)
            else _shortest(value)
        )
    return wrong


def _string(verb: str, value: str, flags: str, precision: int | None) -> str:
    if verb in "sq" and precision is not None:
        value = value[:precision]
    if verb == "s":
        return value
    if verb == "q":
        return _go_syntax(value)
    if verb in "xX":
        digits = value.encode("utf-8", "surrogateescape").hex()
        return digits.upper() if verb == "X" else digits
    return ""


def _integer(verb: str, value: int, flags: str) -> str:
    if verb in _BASES:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return f"{sign}{'0o' if verb == 'O' else prefix}{abs(value):{_BASES[verb]}}"
    if verb == "c" and 0 <= value < 0x110000:
        return chr(value)
    if verb == "q" and 0 <= value < 0x110000:
        return f"'{chr(value)}'"
    return f"U+{value:04X}" if verb == "U" else ""


def _go_syntax(value: Any) -> str:
    if not isinstance(value, str):
        return show(value, nested=True)
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    shown = (escapes.get(c) or (c if c.isprintable() else _escaped(ord(c))) for c in value)
    return '"' + "".join(shown) + '"'


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _shortest(value: float) -> str:
    """%v of a float: the fewest digits that say it, with an exponent below 1e-4 and from 1e21 on."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    number = Decimal(repr(value)).normalize()
    if value and not -4 <= number.adjusted() < 21:
        digits, exponent = f"{number:e}".split("e")
        return f"{digits}e{exponent[0]}{int(exponent[1:]):02d}"
    return f"{number:f}"
