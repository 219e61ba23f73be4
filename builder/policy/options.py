"""The values of --policy, and what they amount to (buildx's util/buildflags/policy.go, withPolicyConfig)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from builder.errors import PolicyFault
from builder.oci import csvfields
from builder.oci.boolean import parse_bool
from builder.policy.log import LEVELS
from cache.errors import Fault

_TOGETHER = "disabled policy cannot be combined with other policy flags"


class PolicyOption(msgspec.Struct, frozen=True, kw_only=True):
    """One --policy. files: to be evaluated as one policy. level: of its log, None if not said."""

    files: tuple[str, ...] = ()
    reset: bool = False
    disabled: bool = False
    strict: bool | None = None
    level: int | None = None


class PolicyFile(msgspec.Struct, frozen=True):
    """data: None for a file that is to be read."""

    name: str
    data: bytes | None = None


class PolicyGroup(msgspec.Struct, frozen=True):
    """Files that are evaluated as one policy."""

    files: tuple[PolicyFile, ...]
    level: int | None = None


def parse_option(text: str) -> PolicyOption:
    """Raises Fault in buildx's words."""
    values: dict[str, Any] = {"files": ()}
    try:
        fields = csvfields.fields(text)
    except Fault as error:
        raise Fault(f"invalid value {text}: {error.message}", error.hint) from None
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if key == "filename" and value:
            values["files"] = (*values["files"], value)
        elif key in ("reset", "disabled", "strict") and equals:
            values[key] = _truth(field, value)
        elif key == "log-level" and equals:
            if value.lower() not in LEVELS:
                raise Fault(
                    f'invalid value {field}: not a valid logrus Level: "{value}"', f"known: {', '.join(LEVELS)}"
                )
            values["level"] = LEVELS[value.lower()]
        else:
            raise Fault(f"invalid value {field}", "known: filename=, reset=, disabled=, strict=, log-level=")
    return PolicyOption(**values)


def _truth(field: str, value: str) -> bool:
    found = parse_bool(value)
    if found is None:
        raise Fault(f'invalid value {field}: strconv.ParseBool: parsing "{value}": invalid syntax', "use true or false")
    return found


def groups(default: PolicyFile | None, options: Iterable[PolicyOption]) -> tuple[PolicyGroup, ...]:
    """default: the file beside the Dockerfile. Raises PolicyFault.

    strict=true asks buildx's daemon to know policies; ours always does, so it changes nothing.
    """
    options = tuple(options)
    if any(one.disabled for one in options):
        if len(options) > 1 or msgspec.structs.replace(options[0], disabled=False) != PolicyOption():
            raise PolicyFault(_TOGETHER, "give --policy disabled=true alone")
        return ()
    found = [PolicyGroup((default,))] if default is not None else []
    waiting: int | None = None  # a level that was given before there was a policy
    for one in options:
        if one.reset:
            found = []
        if one.files:
            level = one.level if one.level is not None else waiting
            found.append(PolicyGroup(tuple(PolicyFile(name) for name in one.files), level))
        elif not found:
            waiting = one.level
        elif one.level is not None:
            found[-1] = PolicyGroup(found[-1].files, one.level)
    return tuple(found)
