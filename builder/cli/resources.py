"""--resource, and the options of `docker run` that docker buildx still takes in its place, as the Limits of steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from builder.cli.request import byte_count
from builder.sandbox.spec import Limits
from cache.errors import Fault

F = TypeVar("F", bound=Callable[..., Any])

_KEYS = ("memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems")
_SHORT = {"memory": ["-m"], "cpu-shares": ["-c"]}
_META = "resources"
_LAST_CPU = 8192  # as in BuildKit


def limits(values: Iterable[str], parent: str) -> Limits:
    """Values of --resource, a later one of the same key wins. Raises Fault in the words of buildx and BuildKit."""
    found: dict[str, Any] = {}
    for entry in values:
        key, equals, value = entry.partition("=")
        key, value = key.strip(), value.strip()
        if not equals:
            raise Fault(f'invalid resource "{entry}", expected key=value', f"known: {', '.join(_KEYS)}")
        if key not in _KEYS:
            raise Fault(f'unknown resource "{key}"', f"known: {', '.join(_KEYS)}")
        found[key.replace("-", "_")] = _value(key, value)
    wanted = Limits(**found, parent=parent)
    if wanted.memory_swap > 0 and not wanted.memory:
        raise Fault("unable to set swap limit without memory limit", "give --resource memory= too")
    if 0 < wanted.memory_swap < wanted.memory:
        raise Fault("memory+swap limit should be >= memory limit", "memory-swap is memory and swap together")
    return wanted


def older_options(command: F) -> F:
    """The options by which `docker build` knew these limits, hidden from --help; older_values() has what was given."""
    for key in reversed(_KEYS):
        names = [f"--{key}", *_SHORT.get(key, [])]
        command = click.option(*names, multiple=True, hidden=True, expose_value=False, callback=_keep(key))(command)
    return command


def older_values(ctx: click.Context) -> tuple[str, ...]:
    return tuple(ctx.meta.get(_META, ()))


def _keep(key: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], None]:
    def keep(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
        ctx.meta.setdefault(_META, []).extend(f"{key}={value}" for value in values)

    return keep


def _value(key: str, text: str) -> int | str:
    if key.startswith("cpuset"):
        _check_set(key, text)
        return text
    if key == "memory-swap" and text == "-1":
        return -1
    if key.startswith("memory"):
        return _bytes(key, text)
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise Fault(f'invalid value "{text}" for resource {key}', "want a whole number")
    return max(int(text), 0)


def _bytes(key: str, text: str) -> int:
    try:
        return byte_count(key, text)
    except Fault as error:
        raise Fault(f'invalid value "{text}" for resource {key}', error.hint) from None


def _check_set(key: str, text: str) -> None:
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([0-9]{1,9})(?: *- *([0-9]{1,9}))?", part)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        kind = "range" if "-" in part else "element"
        if high < low:
            raise Fault(f'invalid {key} value: {text}: invalid cpuset {kind} "{part}"', "want a list as 0-3,5")
        if high > _LAST_CPU:
            raise Fault(f'invalid {key} value: {text}: cpuset {kind} "{part}" exceeds maximum {_LAST_CPU}')
