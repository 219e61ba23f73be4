"""Sizes and ages in words (docker/go-units)."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def human_size(size: float, digits: int = 3) -> str:
    """`1.24MB`, in powers of 1000. digits: 3 in lists of images, 4 elsewhere."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.{digits}g}{_UNITS[unit]}"


def human_duration(seconds: float) -> str:
    """`About a minute`, `3 weeks`."""
    whole, minutes, hours = int(seconds), int(seconds / 60), int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, size, unit in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if hours < 24 * limit:
            return f"{hours // 24 // size} {unit}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def moment(text: str) -> datetime | None:
    """An RFC 3339 time, None where the text is none. Nanoseconds are cut."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since(text: str, now: float) -> str:
    """`3 days ago`, "N/A" where the text is no time. now: seconds since 1970."""
    when = moment(text)
    return "N/A" if when is None else f"{human_duration(now - when.timestamp())} ago"


def local_time(text: str) -> str:
    """`2024-05-01 12:00:00 +0000 UTC`, as Go prints a time in the machine's zone."""
    when = moment(text)
    return "N/A" if when is None else when.replace(microsecond=0).astimezone().strftime("%Y-%m-%d %H:%M:%S %z %Z")
