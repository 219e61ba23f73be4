"""Times of Rego: nanoseconds since 1970, layouts and zones as Go has them."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.values import Value

_SECOND = 10**9
_LATEST = 1 << 63
_MOST_DAYS = 1_000_000
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d))\Z", re.ASCII
)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = {  # Go's reference time by strptime's words, the longest first
    "2006": "%Y", "January": "%B", "Jan": "%b", "01": "%m", "Monday": "%A", "Mon": "%a", "02": "%d", "15": "%H",
    "03": "%I", "04": "%M", "05": "%S", "PM": "%p", "-07:00": "%z", "Z07:00": "%z", "-0700": "%z", "06": "%y",
}  # fmt: skip
_NAMED = {
    "RFC3339": "2006-01-02T15:04:05Z07:00", "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700", "ANSIC": "Mon Jan 02 15:04:05 2006",
}  # fmt: skip


def parse_rfc3339_ns(value: Value) -> int:
    match = _RFC3339.match(value) if isinstance(value, str) else None
    if match is None:
        raise Undefined
    zone: tzinfo = UTC
    if match[9]:
        away = timedelta(hours=int(match[10]), minutes=int(match[11]))
        zone = timezone(away if match[9] == "+" else -away)
    when = datetime(*(int(match[n]) for n in range(1, 7)), tzinfo=zone)  # type: ignore[arg-type, misc]
    return _bounded(_nanoseconds(when) + int((match[7] or "").ljust(9, "0")))


def parse_ns(layout: Value, value: Value) -> int:
    if not isinstance(layout, str) or not isinstance(value, str):
        raise Undefined
    layout = _NAMED.get(layout, layout)
    if layout in ("2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00", "RFC3339Nano"):
        return parse_rfc3339_ns(value)
    words = "|".join(re.escape(word) for word in sorted(_LAYOUT, key=len, reverse=True))
    rest = re.sub(words, "", layout)
    if re.search(r"\d|MST|_", rest):
        raise RegoError("", "eval_builtin_error", f"layout {layout!r:.100} of time.parse_ns is not known here")
    form = re.sub(f"{words}|%", lambda match: _LAYOUT.get(match[0], "%%"), layout)
    when = datetime.strptime(value, form)
    return _bounded(_nanoseconds(when if when.tzinfo else when.replace(tzinfo=UTC)))


def parse_duration_ns(value: Value) -> int:
    text = value if isinstance(value, str) else ""
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-").removeprefix("+")
    if text == "0":
        return 0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Undefined
    total = 0
    for number, unit in parts:
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // 10 ** len(fraction)
    return _bounded(sign * total)


def date(value: Value) -> Value:
    when = _moment(value)
    return (when.year, when.month, when.day)


def clock(value: Value) -> Value:
    when = _moment(value)
    return (when.hour, when.minute, when.second)


def weekday(value: Value) -> str:
    return calendar.day_name[_moment(value).weekday()]


def format_time(value: Value) -> str:
    """RFC 3339 with nanoseconds as far as there are; a layout of one's own is not known here."""
    if isinstance(value, tuple) and len(value) > 2 and value[2] not in ("RFC3339Nano", "RFC3339"):
        raise RegoError("", "eval_builtin_error", f"layout {value[2]!r:.100} of time.format is not known here")
    when, nanoseconds = _moment(value), _parts(value)[0] % _SECOND
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    if isinstance(value, tuple) and len(value) > 2 and value[2] == "RFC3339":
        fraction = ""
    zone = when.strftime("%z")
    shown = "Z" if zone in ("", "+0000") else f"{zone[:3]}:{zone[3:]}"
    return f"{when.replace(tzinfo=None).isoformat(timespec='seconds')}{fraction}{shown}"


def add_date(value: Value, years: Value, months: Value, days: Value) -> int:
    nanoseconds, _ = _parts(value)
    when = _moment(value)
    if not all(isinstance(part, int) and not isinstance(part, bool) for part in (years, months, days)):
        raise Undefined
    if any(abs(part) > _MOST_DAYS for part in (years, months, days)):
        raise Undefined
    month = when.month - 1 + months
    moved = when.replace(year=when.year + years + month // 12, month=month % 12 + 1, day=1)
    return _bounded(_nanoseconds(moved + timedelta(days=when.day - 1 + days)) + nanoseconds % _SECOND)


def diff(one: Value, other: Value) -> Value:
    """Years, months, days, hours, minutes and seconds between two times."""
    first, last = sorted((_moment(one), _moment(other)))
    parts = [
        getattr(last, name) - getattr(first, name) for name in ("year", "month", "day", "hour", "minute", "second")
    ]
    for at, most in ((5, 60), (4, 60), (3, 24)):
        if parts[at] < 0:
            parts[at] += most
            parts[at - 1] -= 1
    if parts[2] < 0:
        parts[2] += calendar.monthrange(first.year, first.month)[1]
        parts[1] -= 1
    if parts[1] < 0:
        parts[1] += 12
        parts[0] -= 1
    return tuple(parts)


def _parts(value: Value) -> tuple[int, str]:
    nanoseconds, zone = (value[0], value[1]) if isinstance(value, tuple) and len(value) in (2, 3) else (value, "")
    if not isinstance(nanoseconds, int) or isinstance(nanoseconds, bool) or not isinstance(zone, str):
        raise Undefined
    return _bounded(nanoseconds), zone


def _moment(value: Value) -> datetime:
    nanoseconds, zone = _parts(value)
    where: tzinfo = UTC
    if zone not in ("", "UTC"):
        raise RegoError("", "eval_builtin_error", f"time zone {zone!r:.100} is not known here, only UTC")
    return (_EPOCH + timedelta(seconds=nanoseconds // _SECOND)).astimezone(where)


def _nanoseconds(when: datetime) -> int:
    away = when - _EPOCH
    return (away.days * 86400 + away.seconds) * _SECOND + away.microseconds * 1000


def _bounded(value: int) -> int:
    if not -_LATEST <= value < _LATEST:
        raise Undefined
    return value
