"""Parts of objects by their paths: json.filter, json.remove, json.patch (RFC 6902)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from builder.policy.rego.arguments import (
    a_kind,
    a_list,
    a_text,
)
from builder.policy.rego.faults import Undefined
from builder.policy.rego.values import Obj, Set, Value, as_json, equal, lookup


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
        path, how = _pointer(fields["path"]), fields["op"]
        if how == "test":
            if not equal(_pointed(value, path), fields["value"]):
                raise Undefined
        elif how in ("move", "copy"):
            source = _pointer(fields["from"])
            moved = _pointed(value, source)
            value = _edited(value, source, "remove", None) if how == "move" else value
            value = _edited(value, path, "add", moved)
        elif how in ("add", "replace"):
            value = _edited(value, path, how, fields["value"])
        elif how == "remove":
            value = _edited(value, path, how, None)
        else:
            raise Undefined
    return value


def _pointer(path: Value) -> list[Value]:
    """Of json.patch: RFC 6901, also without its first slash; or an array of what leads there."""
    if isinstance(path, tuple):
        return list(path)
    text = a_text(path).removeprefix("/")
    if path in ("", "/"):
        return [""] if path else []
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")]


def _index(value: tuple[Value, ...], name: Value) -> int:
    """Where in an array. Raises Undefined."""
    if name == "-":
        return len(value)
    if isinstance(name, str) and re.fullmatch(r"0|[1-9]\d*", name, re.ASCII):
        name = int(name)
    if isinstance(name, bool) or not isinstance(name, int) or not 0 <= name <= len(value):
        raise Undefined
    return name


def _pointed(value: Value, path: list[Value]) -> Value:
    for part in path:
        name = _index(value, part) if isinstance(value, tuple) else part
        found = next(lookup(value, name), None)
        if found is None:
            raise Undefined
        value = found[1]
    return value


def _edited(value: Value, path: list[Value], how: str, new: Value) -> Value:
    if not path:
        if how == "remove":
            raise Undefined
        return new
    name, rest = path[0], path[1:]
    if isinstance(value, tuple):
        at = _index(value, name)
        if at == len(value) and (rest or how != "add"):
            raise Undefined
        if rest:
            return (*value[:at], _edited(value[at], rest, how, new), *value[at + 1 :])
        return (*value[:at], *(() if how == "remove" else (new,)), *value[at if how == "add" else at + 1 :])
    old = None if how == "add" and not rest else (_pointed(value, [name]),)
    changed = _edited(old[0], rest, how, new) if rest and old is not None else new
    if isinstance(value, Set):
        if not rest and how != "remove" and not equal(name, new):
            raise Undefined
        kept = [one for one in value if not equal(one, name)]
        return Set(kept if how == "remove" and not rest else [*kept, changed])
    pairs = [(k, v) for k, v in a_kind(value, Obj).items() if not equal(k, name)]
    return Obj(pairs if how == "remove" and not rest else [*pairs, (name, changed)])


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "json.filter": _json_filter,
    "json.remove": _json_remove,
    "json.patch": _patched,
}
