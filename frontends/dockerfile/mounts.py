"""RUN --mount: fields to checked values (BuildKit's instructions/commands_runmount.go, in its words)."""

from __future__ import annotations

import re

import msgspec

from builder.oci.boolean import parse_bool
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import MountField
from frontends.dockerfile.words import Expander
from frontends.errors import LowerFault
from frontends.text import did_you_mean

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid",
    "src", "dst", "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_SAME = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{0,9})?) ?(?:([kmgtp])i?b?|b)?\Z", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class MountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A mount as asked for. source, target, id: as written; mode, uid, gid, readonly, env: None where not given."""

    kind: str = "bind"
    source_stage: str = ""
    source: str = ""
    target: str = ""
    readonly: bool | None = None
    id: str = ""
    sharing: str = ""
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


def mount_spec(fields: tuple[MountField, ...], expander: Expander) -> MountSpec:
    """Expand and check one --mount. Raises LowerFault."""
    spec = MountSpec()
    for field in fields:
        spec = _with_field(spec, field, expander)
    _check(spec)
    return spec


def _with_field(spec: MountSpec, field: MountField, expander: Expander) -> MountSpec:
    replace = msgspec.structs.replace
    key = _SAME.get(field.key, field.key)
    if field.value is None and key not in ("readonly", "readwrite", "required"):
        raise LowerFault(f"invalid field '{field.text}' must be a key=value pair")
    value = expander.expand(field.value) if field.value is not None else "true"
    if key in ("readonly", "readwrite"):
        return replace(spec, readonly=_bool(field.key, value) == (key == "readonly"))
    if key == "type":
        if value.lower() not in _KINDS:
            raise LowerFault(f"unsupported mount type {quote(value)}{did_you_mean(value, _KINDS)}")
        return replace(spec, kind=value.lower())
    if key == "sharing":
        if value.lower() not in _SHARING:
            raise LowerFault(f"unsupported sharing value {quote(value)}{did_you_mean(value, _SHARING)}")
        return replace(spec, sharing=value.lower())
    if key in ("required", "size"):
        if spec.kind not in (("secret", "ssh") if key == "required" else ("tmpfs",)):
            raise LowerFault(f"unexpected key '{key}' for mount type '{spec.kind}'")
        if key == "required":
            return replace(spec, required=_bool(key, value))
        return replace(spec, size=_size(value))
    if key in ("mode", "uid", "gid"):
        return replace(spec, **{key: _number(key, value)})
    if key == "from":
        return replace(spec, source_stage=value)
    if key in ("source", "target", "id", "env"):
        return replace(spec, **{key: value})
    raise LowerFault(f"unexpected key '{field.key}' in '{field.text}'{did_you_mean(field.key, _KEYS)}")


def _bool(key: str, value: str) -> bool:
    found = parse_bool(value)
    if found is None:
        raise LowerFault(f"invalid value for {key}: {value}")
    return found


def _number(key: str, value: str) -> int:
    base = 8 if key == "mode" else 10
    if not re.fullmatch("[0-7]{1,11}" if base == 8 else "[0-9]{1,10}", value) or int(value, base) >= 2**32:
        raise LowerFault(f"invalid value {value} for {key}")
    return int(value, base)


def _size(value: str) -> int:
    """Bytes, or with a unit of 1024: 64m, 1.5GiB (docker/go-units RAMInBytes)."""
    found = _SIZE.match(value)
    if found is None:
        raise LowerFault(f"invalid value for size: {value}")
    whole, _, part = found[1].partition(".")
    unit = 1 << 10 * _POWERS[(found[2] or "").lower()]
    return int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)


def _check(spec: MountSpec) -> None:
    if spec.kind in ("bind", "tmpfs"):
        for key in ("mode", "uid", "gid"):
            if getattr(spec, key) is not None:
                raise LowerFault(f"{key} not allowed for {quote(spec.kind)} type mounts")
    if spec.kind == "secret":
        if spec.source_stage:
            raise LowerFault("secret mount should not have a from")
        if spec.sharing:
            raise LowerFault("secret mount should not define sharing")
        if not (spec.source or spec.target or spec.id):
            raise LowerFault("invalid secret mount. one of source, target required")
        if spec.source and spec.id:
            raise LowerFault("both source and id can't be set")
    if spec.sharing and spec.kind != "cache":
        raise LowerFault(f"invalid cache sharing set for {spec.kind} mount")
    if spec.kind == "ssh" and spec.source:
        raise LowerFault("ssh does not support source")
