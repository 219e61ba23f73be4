"""Parts of objects by their paths: json.filter, json.remove, json.patch (RFC 6902)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.policy.rego.arguments import (
    a_kind,
    a_list,
)
from builder.policy.rego.faults import Undefined
from builder.policy.rego.values import Obj, Value, as_json, equal, lookup


def _path(value: Value) -> list[str]:
    """Of json.filter and its fellows: `a/b` or an array."""
    if isinstance(value, str):
        return [part.replace("~1", "/").replace("~0", "~") for part in value.strip("/").split("/")]
    return [part if isinstance(part, str) else as_json(part) for part in a_kind(value, tuple)]


def _filtered(value: Value, paths: list[list[str]], keep: bool) -> Value:
    pairs: list[tuple[Value, Value]]
    if isinstance(value, Obj):
        pairs = value.items()
    elif isinstance(value, tuple):
        pairs = list(enumerate(value))
    else:
        return value
    found = []
    for name, part in pairs:
        below = [path[1:] for path in paths if path[0] == str(name)]
        whole = any(not path for path in below)
        if whole and keep:
            found.append((name, part))
        elif not whole and (below or not keep):
            found.append((name, _filtered(part, below, keep) if below else part))
    return Obj(found) if isinstance(value, Obj) else tuple(part for _, part in found)


def _json_filter(value: Value, paths: Value) -> Value:
    return _filtered(a_kind(value, Obj), [_path(path) for path in a_list(paths)], True)


def _json_remove(value: Value, paths: Value) -> Value:
    return _filtered(a_kind(value, Obj), [_path(path) for path in a_list(paths)], False)


def _patched(value: Value, patches: Value) -> Value:
    for patch in a_kind(patches, tuple):
        fields = dict(a_kind(patch, Obj).items())
        path = _path(fields["path"]) if fields["path"] not in ("", ()) else []
        if fields["op"] == "test":
            if not equal(_pointed(value, path), fields["value"]):
                raise Undefined
            continue
        if fields["op"] in ("move", "copy"):
            source = _path(fields["from"])
            moved = _pointed(value, source)
            value = _edited(value, source, "remove", None) if fields["op"] == "move" else value
            value = _edited(value, path, "add", moved)
        else:
            value = _edited(value, path, fields["op"], fields.get("value"))
    return value


def _pointed(value: Value, path: list[str]) -> Value:
    for part in path:
        name: Value = int(part) if isinstance(value, tuple) and part.isdecimal() else part
        value = next(lookup(value, name))[1]
    return value


def _edited(value: Value, path: list[str], how: str, new: Value) -> Value:
    if how not in ("add", "remove", "replace"):
        raise Undefined
    if not path:
        if how == "remove":
            raise Undefined
        return new
    name, rest = path[0], path[1:]
    if isinstance(value, tuple):
        at = len(value) if name == "-" else int(name)
        if not 0 <= at <= len(value) or (at == len(value) and (rest or how != "add")):
            raise Undefined
        if rest:
            return (*value[:at], _edited(value[at], rest, how, new), *value[at + 1 :])
        behind = value[at:] if how == "add" else value[at + 1 :]
        return (*value[:at], *(() if how == "remove" else (new,)), *behind)
    pairs = dict(a_kind(value, Obj).items())
    if name not in pairs and (rest or how != "add"):
        raise Undefined
    if rest:
        pairs[name] = _edited(pairs[name], rest, how, new)
    elif how == "remove":
        del pairs[name]
    else:
        pairs[name] = new
    return Obj(pairs.items())


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "json.filter": _json_filter,
    "json.remove": _json_remove,
    "json.patch": _patched,
}
