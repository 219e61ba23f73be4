"""Texts as Go has them: what its fmt package writes, since history entries are that to the letter; its blanks."""

from __future__ import annotations

from collections.abc import Iterable

from builder.graph.gostring import quote as quote
from frontends.errors import ParseFault

# unicode.IsSpace: what Go trims and splits at.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MAXIMUM = 2**63 - 1


def quoted_list(texts: Iterable[str]) -> str:
    """Go's %q of a []string: `["a" "b"]`."""
    return f"[{' '.join(map(quote, texts))}]"


def plain_list(texts: Iterable[str]) -> str:
    """Go's %v of a []string: `[a b]`."""
    return f"[{' '.join(texts)}]"


def duration(nanoseconds: int) -> str:
    """Go's time.Duration.String: `1m30s`, `1.5s`, `100ms`, `0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    if rest < 10**9:
        unit, size = next((u, s) for u, s in (("ms", 10**6), ("µs", 1_000), ("ns", 1)) if rest >= s)
        return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, seconds = divmod(rest, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(seconds, 10**9)}s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def parse_duration(text: str) -> int:
    """Go's time.ParseDuration, in nanoseconds. Raises ParseFault in Go's words."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = 0
    invalid = ParseFault(f"time: invalid duration {quote(text)}", "write it as 30s, 1m30s or 500ms")
    while rest:
        number, rest = _leading(rest, "0123456789.")
        unit, rest = _leading_unit(rest)
        whole, _, part = number.partition(".")
        if "." in part or not (whole or part) or len(number) > 40:
            raise invalid
        if not unit:
            raise ParseFault(f"time: missing unit in duration {quote(text)}", invalid.hint)
        if unit not in _UNITS:
            raise ParseFault(f"time: unknown unit {quote(unit)} in duration {quote(text)}", invalid.hint)
        total += int(whole or "0") * _UNITS[unit] + (int(part) * _UNITS[unit] // 10 ** len(part) if part else 0)
    if not text or text in ("-", "+") or total > _MAXIMUM:
        raise invalid
    return sign * total


def _leading(text: str, letters: str) -> tuple[str, str]:
    rest = text.lstrip(letters)
    return text[: len(text) - len(rest)], rest


def _leading_unit(text: str) -> tuple[str, str]:
    end = next((i for i, ch in enumerate(text) if ch in "0123456789."), len(text))
    return text[:end], text[end:]
