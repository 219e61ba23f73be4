"""BUILDKIT_COLORS: the colors of steps on a terminal, `run=green:error=255,0,0` (BuildKit's progressui)."""

from __future__ import annotations

_USUAL = {"run": "blue", "cancel": "yellow", "error": "red", "warning": "yellow"}
_NAMES = ("default", "black", "blue", "cyan", "green", "magenta", "red", "white", "yellow")
_STYLES = {name: name for name in _NAMES} | {f"light-{name}": f"bright_{name}" for name in _NAMES[1:]}


def colors(text: str) -> dict[str, str]:
    """rich's style of run, cancel, error and warning. What cannot be read keeps its usual color."""
    found = dict(_USUAL)
    for field in text.replace('"', "").split(":"):
        name, _, value = field.partition("=")
        style = _STYLES.get(value.lower()) or _rgb(value)
        if name.lower() in found and style:
            found[name.lower()] = style
    return found


def _rgb(value: str) -> str:
    parts = value.split(",")
    good = len(parts) == 3 and all(part.isascii() and part.isdigit() and int(part[:4]) < 256 for part in parts)
    return f"rgb({','.join(str(int(part[:4])) for part in parts)})" if good else ""
