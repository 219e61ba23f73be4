"""Options of `run` that put something into the container's tree: -v, --tmpfs and --mount."""

from __future__ import annotations

import os

from builder.cli.request import byte_count
from builder.errors import SourceFault
from builder.oci import csvfields
from builder.sandbox.spec import BindMount, TmpfsMount
from cache.errors import Fault

_FLAGS = ("rw", "ro", "exec", "noexec", "nosuid", "nodev")  # the last two hold in any case

_FIELDS = ("type", "source", "target", "readonly", "consistency", "tmpfs-size", "tmpfs-mode")
_SAME = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}


def bind(text: str) -> BindMount:
    """`SRC:DST[:ro|rw]`: a file or folder of this machine, links in its name followed, as whoever typed it trusts."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not target.startswith("/") or mode not in ("", "ro", "rw"):
        raise SourceFault(f'invalid volume specification: "{text}"', "want SRC:DST[:ro], with an absolute DST")
    if "/" not in source and source not in (".", ".."):
        raise SourceFault(f"{source} is the name of a volume, and there are only folders here", "write ./NAME for one")
    return _bound(source, target, mode == "ro")


def tmpfs(text: str) -> TmpfsMount:
    """`DST[:OPTION,…]`, with those of mount(8) for tmpfs as far as they say who may do what, and how much."""
    target, _, rest = text.partition(":")
    if not target.startswith("/") or target.strip("/") == "":
        raise SourceFault(f'invalid mount path: "{target}"', "want an absolute path, and not the root")
    flags, values = {"noexec"}, {"size": 0, "mode": 0o1777, "uid": 0, "gid": 0}
    for option in filter(None, rest.split(",")):
        name, equals, value = option.partition("=")
        if not equals and name in _FLAGS:
            flags = flags - {{"exec": "noexec", "rw": "ro"}.get(name, "")} | {name}
        elif equals and name in values:
            values[name] = _number(name, value, text)
        else:
            raise SourceFault(
                f'invalid tmpfs option "{option}"', f"options: {', '.join((*_FLAGS, *(f'{n}=…' for n in values)))}"
            )
    return TmpfsMount(target, readonly="ro" in flags, noexec="noexec" in flags, **values)


def mount(text: str) -> BindMount | TmpfsMount:
    """`type=bind,src=…,dst=…[,ro]` or `type=tmpfs,dst=…[,tmpfs-size=…][,tmpfs-mode=…]` (docker/cli, opts/mount.go)."""
    fields: dict[str, str] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        name = _SAME.get(key.lower(), key.lower())
        if name not in _FIELDS:
            raise SourceFault(f"unknown option '{key}' in '{field}'", f"options: {', '.join(_FIELDS)}")
        if not value and (equals or name != "readonly"):
            raise SourceFault(f"invalid field '{field}' must be a key=value pair")
        fields[name] = value if equals else "true"
    kind, target = fields.get("type", "volume"), fields.get("target", "")
    if not target.startswith("/"):
        raise SourceFault(f"invalid mount '{text}': target is required", "want an absolute path")
    if fields.get("readonly", "false") not in ("true", "false", "1", "0"):
        raise SourceFault(f"invalid value for 'readonly': {fields['readonly']}", "want true or false")
    readonly = fields.get("readonly") in ("true", "1")
    strange = [name for name in fields if name in _FIELDS[5:] and kind != "tmpfs"]
    if kind not in ("bind", "tmpfs") or strange or (kind == "tmpfs") == ("source" in fields):
        raise SourceFault(
            f"invalid mount '{text}': {kind} takes no such fields, or is not supported",
            "want type=bind with src=, or type=tmpfs without",
        )
    if kind == "bind":
        return _bound(fields["source"], target, readonly)
    size = byte_count("tmpfs-size", fields["tmpfs-size"]) if "tmpfs-size" in fields else 0
    mode = _number("mode", fields.get("tmpfs-mode", "1777"), text)
    return TmpfsMount(target, size=size, mode=mode, readonly=readonly, noexec=True)


def _fields(text: str) -> list[str]:
    try:
        return csvfields.fields(text)
    except Fault as error:
        raise SourceFault(f"invalid mount '{text}': {error.message}", error.hint) from None


def _bound(source: str, target: str, readonly: bool) -> BindMount:
    path = os.path.realpath(source)
    if not os.path.exists(path):
        raise SourceFault(f"bind source path does not exist: {source}")
    return BindMount(path, target, readonly=readonly)


def _number(name: str, value: str, text: str) -> int:
    if name == "size":
        return byte_count("--tmpfs size", value)
    digits = "01234567" if name == "mode" else "0123456789"
    if not value or len(value) > 10 or set(value) - set(digits):
        raise SourceFault(f"invalid tmpfs option {name}={value} in {text}", "want a number")
    return int(value, 8 if name == "mode" else 10) & (0o7777 if name == "mode" else (1 << 32) - 1)
