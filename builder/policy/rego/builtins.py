"""Functions of the language, as OPA's documentation has them; buildx's policy/builtins.go says which there are.

One that raises Undefined, TypeError, ValueError or a like error is undefined there. Lengths and results are bounded.
"""

from __future__ import annotations

import base64
import json
import math
import random
import re
import time
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_plus

import re2
import yaml

from builder.policy.rego import times
from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.formatting import sprintf
from builder.policy.rego.values import Obj, Set, Value, as_json, equal, from_plain, key, lookup

_LONGEST = 1 << 22  # characters of a text, and elements of a range


def _number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Undefined
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise Undefined
    return value


def _whole(value: Value) -> int:
    number = _number(value)
    if isinstance(number, float) and not number.is_integer():
        raise Undefined
    return int(number)


def _kind(value: Value, kind: type) -> Value:
    if not isinstance(value, kind):
        raise Undefined
    return value


def _listed(value: Value) -> list[Value]:
    """Of an array or a set."""
    return list(_kind(value, tuple | Set))  # type: ignore[arg-type]


def _texts(value: Value) -> list[str]:
    return [_text(one) for one in ([value] if isinstance(value, str) else _listed(value))]


def _bounded(text: str) -> str:
    if len(text) > _LONGEST:
        raise Undefined
    return text


def _result(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise Undefined
    if isinstance(value, int) and value.bit_length() > 4096:
        raise Undefined
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _minus(one: Value, other: Value) -> Value:
    if isinstance(one, Set) and isinstance(other, Set):
        return Set(value for value in one if value not in other)
    return _result(_number(one) - _number(other))


def _div(one: Value, other: Value) -> Value:
    one, other = _number(one), _number(other)
    if not other:
        raise Undefined
    if isinstance(one, int) and isinstance(other, int) and one % other == 0:
        return one // other
    return _result(one / other)


def _rem(one: Value, other: Value) -> Value:
    one, other = _whole(one), _whole(other)
    if not other:
        raise Undefined
    return one - other * int(abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1))


def _round(value: Value) -> Value:
    number = _number(value)
    return int(math.copysign(math.floor(abs(number) + 0.5), number))


def _count(value: Value) -> int:
    return len(_kind(value, str | tuple | Set | Obj))  # type: ignore[arg-type]


def _extreme(pick: Callable[..., Value]) -> Callable[[Value], Value]:
    def found(value: Value) -> Value:
        values = _listed(value)
        if not values:
            raise Undefined
        return pick(values, key=key)

    return found


def _sum(value: Value) -> Value:
    return _result(sum(_number(one) for one in _listed(value)))


def _product(value: Value) -> Value:
    return _result(math.prod(_number(one) for one in _listed(value)))


def _to_number(value: Value) -> Value:
    if value is None or isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, str):
        if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", value, re.ASCII) or len(value) > 300:
            raise Undefined
        return _result(int(value) if re.fullmatch(r"-?\d+", value, re.ASCII) else float(value))
    return _number(value)


def _slice(value: Value, begin: Value, end: Value) -> Value:
    array = _kind(value, tuple)
    first, last = max(_whole(begin), 0), min(_whole(end), len(array))
    return array[first:last] if first < last else ()


def _flatten(value: Value) -> Value:
    return tuple(part for one in _kind(value, tuple) for part in (one if isinstance(one, tuple) else (one,)))


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@cache
def _regex(pattern: str) -> Any:
    """As Go reads it: RE2, in time that the text's length bounds. Raises re2.error."""
    return re2.compile(pattern, _OPTIONS)


def _is_regex(pattern: Value) -> bool:
    if not isinstance(pattern, str):
        return False
    try:
        _regex(pattern)
    except re2.error:
        return False
    return True


def _search(pattern: Value, value: Value) -> bool:
    return _compiled(pattern).search(_text(value)) is not None


def _compiled(pattern: Value) -> Any:
    try:
        return _regex(_text(pattern))
    except re2.error:
        raise Undefined from None


def _limited(found: Iterable[Value], number: Value) -> Value:
    count = _whole(number)
    values = tuple(found)
    return values if count < 0 else values[:count]


def _find(pattern: Value, value: Value, number: Value) -> Value:
    return _limited((match[0] for match in _compiled(pattern).finditer(_text(value))), number)


def _submatches(pattern: Value, value: Value, number: Value) -> Value:
    found = (tuple(part or "" for part in (m[0], *m.groups())) for m in _compiled(pattern).finditer(_text(value)))
    return _limited(found, number)


def _regex_split(pattern: Value, value: Value) -> Value:
    compiled, text = _compiled(pattern), _text(value)
    parts, begin = [], 0
    for match in compiled.finditer(text):
        if match.end() == 0 or (match.start() == match.end() == len(text)):
            continue
        parts.append(text[begin : match.start()])
        begin = match.end()
    return (*parts, text[begin:])


def _regex_replace(value: Value, pattern: Value, by: Value) -> Value:
    template = _text(by)

    def expand(match: Any) -> str:
        def group(mark: re.Match[str]) -> str:
            name = mark[1] or mark[2]
            if name is None:
                return "$"
            try:
                return match[int(name) if name.isdecimal() else name] or ""
            except (IndexError, KeyError):
                return ""

        return re.sub(r"\$(?:\$|\{(\w+)\}|(\w+))", group, template)

    text, parts, begin = _text(value), [], 0
    for match in _compiled(pattern).finditer(text):
        parts += [text[begin : match.start()], expand(match)]
        begin = match.end()
    return _bounded("".join(parts) + text[begin:])


def _template_match(pattern: Value, value: Value, begin: Value, end: Value) -> bool:
    opening, closing, text = _text(begin), _text(end), _text(pattern)
    if len(opening) != 1 or len(closing) != 1:
        raise Undefined
    found, depth, start, plain = [], 0, 0, 0
    for at, char in enumerate(text):
        if char == opening:
            if not depth:
                found.append(re.escape(text[plain:at]))
                start = at + 1
            depth += 1
        elif char == closing:
            depth -= 1
            if depth < 0:
                raise Undefined
            if not depth:
                found.append(f"({text[start:at]})")
                plain = at + 1
    if depth:
        raise Undefined
    return _compiled("^" + "".join(found) + re.escape(text[plain:]) + "$").search(_text(value)) is not None


def _glob(pattern: Value, delimiters: Value, value: Value) -> bool:
    """gobwas/glob: * stays between delimiters, ** does not, {a,b}, [a-z], [!a]."""
    marks = [] if delimiters is None else [_text(mark) for mark in _kind(delimiters, tuple)] or ["."]
    stop = "".join(re.escape(mark) for mark in marks)
    one = f"[^{stop}]" if stop else "."
    found, at, text, depth = [], 0, _text(pattern), 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            if text[at : at + 1] == "*":
                at += 1
                found.append(".*")
            else:
                found.append(f"{one}*")
        elif char == "?":
            found.append(one)
        elif char == "[":
            end = text.find("]", at)
            if end < 0:
                raise Undefined
            inside = text[at:end]
            inside = f"^{inside[1:]}" if inside[:1] == "!" else inside
            found.append("[" + inside.replace("\\", "\\\\") + "]")
            at = end + 1
        elif char == "{":
            depth += 1
            found.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            found.append(")")
        elif char == "," and depth:
            found.append("|")
        else:
            if char == "\\" and at < len(text):
                char = text[at]
                at += 1
            found.append(re.escape(char))
    if depth:
        raise Undefined
    try:
        return re.fullmatch("".join(found), _text(value), re.DOTALL) is not None
    except re.error:
        raise Undefined from None


def _trim(value: Value, cut: Value) -> str:
    return _text(value).strip(_text(cut)) if _text(cut) else _text(value)


def _replaced(patterns: Value, value: Value) -> str:
    pairs = {_text(k): _text(v) for k, v in _kind(patterns, Obj).items()}
    if not pairs:
        return _text(value)
    return _bounded(re.sub("|".join(map(re.escape, pairs)), lambda match: pairs[match[0]], _text(value)))


def _substring(value: Value, begin: Value, length: Value) -> str:
    text, first, count = _text(value), _whole(begin), _whole(length)
    if first < 0:
        raise Undefined
    return text[first:] if count < 0 else text[first : first + count]


def _index(value: Value, part: Value) -> int:
    if not _text(part):
        raise Undefined
    return _text(value).find(_text(part))


def _indexes(value: Value, part: Value) -> Value:
    text, wanted = _text(value), _text(part)
    if not wanted:
        raise Undefined
    return tuple(at for at in range(len(text)) if text.startswith(wanted, at))


def _split(value: Value, by: Value) -> Value:
    text, mark = _text(value), _text(by)
    return tuple(text.split(mark)) if mark else tuple(text)


def _format_int(value: Value, base: Value) -> str:
    number, radix = math.floor(_number(value)), _whole(base)
    form = {2: "b", 8: "o", 10: "d", 16: "x"}.get(radix)
    if form is None:
        raise Undefined
    return format(number, form)


def _range(begin: Value, end: Value, step: Value = 1) -> Value:
    first, last, by = _whole(begin), _whole(end), _whole(step)
    if by < 1 or abs(last - first) // by > _LONGEST:
        raise Undefined
    return tuple(range(first, last + 1, by) if first <= last else range(first, last - 1, -by))


def _keyed(value: Value) -> list[Value]:
    """Names of an array, a set, or an object."""
    return [k for k, _ in value.items()] if isinstance(value, Obj) else _listed(value)


def _merged(one: Value, other: Value) -> Value:
    if not isinstance(one, Obj) or not isinstance(other, Obj):
        return other
    pairs = {key(k): (k, v) for k, v in one.items()}
    for k, v in other.items():
        before = pairs.get(key(k))
        pairs[key(k)] = (k, v if before is None else _merged(before[1], v))
    return Obj(pairs.values())


def _union(one: Value, other: Value) -> Value:
    return _merged(_kind(one, Obj), _kind(other, Obj))


def _union_all(value: Value) -> Value:
    found: Value = Obj()
    for one in _kind(value, tuple):
        found = _union(found, one)
    return found


def _get(value: Value, path: Value, default: Value) -> Value:
    for part in path if isinstance(path, tuple) else (path,):
        found = next(lookup(_kind(value, Obj | tuple | Set), part), None)  # type: ignore[arg-type]
        if found is None:
            return default
        value = found[1]
    return value


def _subset(whole: Value, part: Value) -> bool:
    if isinstance(whole, Obj) and isinstance(part, Obj):
        pairs = ((next(lookup(whole, k), None), v) for k, v in part.items())
        return all(found is not None and _within(found[1], v) for found, v in pairs)
    if isinstance(whole, Set) and isinstance(part, Set):
        return all(value in whole for value in part)
    if isinstance(whole, tuple) and isinstance(part, Set):
        return all(any(equal(a, b) for b in whole) for a in part)
    if isinstance(whole, tuple) and isinstance(part, tuple):
        return any(all(map(equal, whole[at:], part)) for at in range(len(whole) - len(part) + 1))
    raise Undefined


def _within(whole: Value, part: Value) -> bool:
    return _subset(whole, part) if isinstance(whole, Obj) and isinstance(part, Obj) else equal(whole, part)


def _path(value: Value) -> list[str]:
    """Of json.filter and its fellows: `a/b` or an array."""
    if isinstance(value, str):
        return [part.replace("~1", "/").replace("~0", "~") for part in value.strip("/").split("/")]
    return [part if isinstance(part, str) else as_json(part) for part in _kind(value, tuple)]


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
    return _filtered(_kind(value, Obj), [_path(path) for path in _listed(paths)], True)


def _json_remove(value: Value, paths: Value) -> Value:
    return _filtered(_kind(value, Obj), [_path(path) for path in _listed(paths)], False)


def _patched(value: Value, patches: Value) -> Value:
    for patch in _kind(patches, tuple):
        fields = dict(_kind(patch, Obj).items())
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
    pairs = dict(_kind(value, Obj).items())
    if name not in pairs and (rest or how != "add"):
        raise Undefined
    if rest:
        pairs[name] = _edited(pairs[name], rest, how, new)
    elif how == "remove":
        del pairs[name]
    else:
        pairs[name] = new
    return Obj(pairs.items())


def _parsed(text: Value) -> Value:
    return from_plain(json.loads(_text(text), parse_constant=_no_constant))


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _is_json(value: Value) -> bool:
    try:
        _parsed(value)
    except (ValueError, Undefined, RecursionError):
        return False
    return True


def _marshal_with(value: Value, options: Value) -> str:
    fields = dict(_kind(options, Obj).items())
    pretty = fields.get("pretty", "indent" in fields or "prefix" in fields)
    if not pretty:
        return as_json(value)
    text = json.dumps(json.loads(as_json(value)), indent=_text(fields.get("indent", "\t")), ensure_ascii=False)
    return text.replace("\n", "\n" + _text(fields.get("prefix", "")))


def _decoded(value: Value, *, url: bool = False) -> str:
    text = _text(value)
    if url:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    return base64.b64decode(text, validate=True).decode()


def _is_base64(value: Value) -> bool:
    try:
        base64.b64decode(_text(value), validate=True)
    except (ValueError, Undefined):
        return False
    return True


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML without its dates, and without aliases, which can make much of little."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, found) for tag, found in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _yaml(value: Value) -> Value:
    try:
        return from_plain(json.loads(json.dumps(yaml.load(_text(value), _Loader))))  # noqa: S506, a safe one
    except yaml.YAMLError:
        raise Undefined from None


def _is_yaml(value: Value) -> bool:
    try:
        _yaml(value)
    except (Undefined, ValueError, TypeError):
        return False
    return True


def _to_yaml(value: Value) -> str:
    text: str = yaml.safe_dump(json.loads(as_json(value)), default_flow_style=False, allow_unicode=True)
    return text.removesuffix("...\n")


def _query_object(value: Value) -> Value:
    found = parse_qs(_text(value), keep_blank_values=True, strict_parsing=bool(value))
    return Obj((name, tuple(parts)) for name, parts in found.items())


def _query(value: Value) -> str:
    pairs = []
    for name, part in _kind(value, Obj).items():
        pairs += [f"{quote_plus(_text(name))}={quote_plus(one)}" for one in _texts(part)]
    return "&".join(pairs)


_UNITS = {"": 1, "m": 0.001, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "pi": 1 << 50, "ei": 1 << 60}


def _units(value: Value) -> Value:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([A-Za-z]*)", _text(value).strip('"'), re.ASCII)
    if match is None:
        raise Undefined
    unit = match[2]
    factor = _BINARY.get(unit.lower()) or _UNITS.get(unit) or _UNITS.get(unit.upper()) or _UNITS.get(unit.lower())
    if factor is None:
        raise Undefined
    return _result(_to_number(match[1]) * factor)


def _bytes(value: Value) -> Value:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([kmgtpe]?i?)b?", _text(value).strip('"').lower(), re.ASCII)
    if match is None or match[2] == "i":
        raise Undefined
    factor = (
        _BINARY.get(match[2])
        or {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}[match[2]]
    )
    return _result(int(_to_number(match[1]) * factor))


_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?\Z",
    re.ASCII,
)


def _version(value: Value) -> tuple[object, ...]:
    match = _SEMVER.match(_text(value))
    if match is None:
        raise Undefined
    later = match[4] is None
    parts = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in (match[4] or "").split(".")]
    return (int(match[1]), int(match[2]), int(match[3]), later, *([] if later else parts))


def _semver(one: Value, other: Value) -> int:
    left, right = _version(one), _version(other)
    return (left > right) - (left < right)


def _is_semver(value: Value) -> bool:
    return isinstance(value, str) and _SEMVER.match(value) is not None


def _uuid(value: Value) -> Value:
    found = uuid.UUID(_text(value))
    variant = {uuid.RFC_4122: "RFC4122", uuid.RESERVED_NCS: "NCS", uuid.RESERVED_MICROSOFT: "Microsoft"}.get(
        found.variant, "Future"
    )
    return Obj({"variant": variant, "version": found.version or 0}.items())


def _cast(kind: type | tuple[type, ...]) -> Callable[[Value], Value]:
    def cast(value: Value) -> Value:
        if not isinstance(value, kind):
            raise Undefined
        return value

    return cast


def _fixes(method: str) -> Callable[[Value, Value], bool]:
    def found(values: Value, parts: Value) -> bool:
        return any(getattr(text, method)(part) for text in _texts(values) for part in _texts(parts))

    return found


def _member(value: Value, collection: Value) -> bool:
    if isinstance(collection, Set):
        return value in collection
    if isinstance(collection, Obj):
        return any(equal(value, part) for _, part in collection.items())
    return isinstance(collection, tuple) and any(equal(value, part) for part in collection)


def _render(text: Value, values: Value) -> str:
    """Go's text/template, as far as it is `{{.name}}`."""
    fields = dict(_kind(values, Obj).items())
    source = _text(text)
    if re.search(r"\{\{(?!\s*\.\w+\s*\}\})", source):
        raise RegoError("", "eval_builtin_error", "strings.render_template knows {{.name}} only")

    def field(match: re.Match[str]) -> str:
        value = fields[match[1]]
        return value if isinstance(value, str) else as_json(value)

    return _bounded(re.sub(r"\{\{\s*\.(\w+)\s*\}\}", field, source))


_SEED = time.time_ns()  # the same for all of a build


def _random(name: Value, most: Value) -> int:
    bound = _whole(most)
    return random.Random(f"{as_json(name)} {_SEED}").randrange(abs(bound)) if bound else 0  # noqa: S311


BUILTINS: dict[str, Callable[..., Value]] = {
    "equal": equal,
    "eq": equal,
    "neq": lambda a, b: not equal(a, b),
    "lt": lambda a, b: key(a) < key(b),
    "lte": lambda a, b: key(a) <= key(b),
    "gt": lambda a, b: key(a) > key(b),
    "gte": lambda a, b: key(a) >= key(b),
    "plus": lambda a, b: _result(_number(a) + _number(b)),
    "minus": _minus,
    "mul": lambda a, b: _result(_number(a) * _number(b)),
    "div": _div,
    "rem": _rem,
    "or": lambda a, b: Set([*_kind(a, Set), *_kind(b, Set)]),
    "and": lambda a, b: Set(value for value in _kind(a, Set) if value in _kind(b, Set)),
    "internal.member_2": _member,
    "internal.member_3": lambda k, v, c: any(equal(v, part) for _, part in lookup(c, k)),
    "abs": lambda a: abs(_number(a)),
    "ceil": lambda a: math.ceil(_number(a)),
    "floor": lambda a: math.floor(_number(a)),
    "round": _round,
    "bits.or": lambda a, b: _whole(a) | _whole(b),
    "bits.and": lambda a, b: _whole(a) & _whole(b),
    "bits.xor": lambda a, b: _whole(a) ^ _whole(b),
    "bits.negate": lambda a: ~_whole(a),
    "bits.lsh": lambda a, b: _whole(a) << min(_whole(b), 4096),
    "bits.rsh": lambda a, b: _whole(a) >> _whole(b),
    "count": _count,
    "sum": _sum,
    "product": _product,
    "max": _extreme(max),
    "min": _extreme(min),
    "any": lambda a: any(value is True for value in _listed(a)),
    "all": lambda a: all(value is True for value in _listed(a)),
    "sort": lambda a: tuple(sorted(_listed(a), key=key)),
    "array.concat": lambda a, b: (*_kind(a, tuple), *_kind(b, tuple)),
    "array.flatten": _flatten,
    "array.slice": _slice,
    "array.reverse": lambda a: _kind(a, tuple)[::-1],
    "to_number": _to_number,
    "cast_object": _cast(Obj),
    "cast_null": _cast(type(None)),
    "cast_boolean": _cast(bool),
    "cast_string": _cast(str),
    "cast_set": lambda a: Set(_listed(a)),
    "cast_array": lambda a: tuple(_listed(a)),
    "regex.is_valid": _is_regex,
    "regex.match": _search,
    "re_match": _search,
    "regex.split": _regex_split,
    "regex.template_match": _template_match,
    "regex.find_n": _find,
    "regex.find_all_string_submatch_n": _submatches,
    "regex.replace": _regex_replace,
    "glob.match": _glob,
    "glob.quote_meta": lambda a: re.sub(r"([*?\\\[\]{}])", r"\\\1", _text(a)),
    "intersection": lambda a: _meet([_kind(one, Set) for one in _kind(a, Set)]),
    "union": lambda a: Set(value for one in _kind(a, Set) for value in _kind(one, Set)),
    "strings.any_prefix_match": _fixes("startswith"),
    "strings.any_suffix_match": _fixes("endswith"),
    "strings.count": lambda a, b: _text(a).count(_text(b)),
    "strings.replace_n": _replaced,
    "strings.reverse": lambda a: _text(a)[::-1],
    "strings.render_template": _render,
    "concat": lambda by, values: _bounded(_text(by).join(_texts(tuple(_listed(values))))),
    "format_int": _format_int,
    "indexof": _index,
    "indexof_n": _indexes,
    "substring": _substring,
    "lower": lambda a: _text(a).lower(),
    "upper": lambda a: _text(a).upper(),
    "contains": lambda a, b: _text(b) in _text(a),
    "startswith": lambda a, b: _text(a).startswith(_text(b)),
    "endswith": lambda a, b: _text(a).endswith(_text(b)),
    "split": _split,
    "replace": lambda a, b, c: _bounded(_text(a).replace(_text(b), _text(c))),
    "trim": _trim,
    "trim_left": lambda a, b: _text(a).lstrip(_text(b)) if _text(b) else a,
    "trim_right": lambda a, b: _text(a).rstrip(_text(b)) if _text(b) else a,
    "trim_prefix": lambda a, b: _text(a).removeprefix(_text(b)),
    "trim_suffix": lambda a, b: _text(a).removesuffix(_text(b)),
    "trim_space": lambda a: _text(a).strip(),
    "sprintf": lambda form, values: _bounded(sprintf(_text(form), list(_kind(values, tuple)))),
    "numbers.range": _range,
    "numbers.range_step": _range,
    "rand.intn": _random,
    "json.marshal": as_json,
    "json.marshal_with_options": _marshal_with,
    "json.unmarshal": _parsed,
    "json.is_valid": _is_json,
    "json.filter": _json_filter,
    "json.remove": _json_remove,
    "json.patch": _patched,
    "base64.encode": lambda a: base64.b64encode(_text(a).encode()).decode(),
    "base64.decode": _decoded,
    "base64.is_valid": _is_base64,
    "base64url.encode": lambda a: base64.urlsafe_b64encode(_text(a).encode()).decode(),
    "base64url.encode_no_pad": lambda a: base64.urlsafe_b64encode(_text(a).encode()).decode().rstrip("="),
    "base64url.decode": lambda a: _decoded(a, url=True),
    "hex.encode": lambda a: _text(a).encode().hex(),
    "hex.decode": lambda a: bytes.fromhex(_text(a)).decode(),
    "urlquery.encode": lambda a: quote_plus(_text(a)),
    "urlquery.decode": lambda a: unquote_plus(_text(a), errors="strict"),
    "urlquery.encode_object": _query,
    "urlquery.decode_object": _query_object,
    "yaml.marshal": _to_yaml,
    "yaml.unmarshal": _yaml,
    "yaml.is_valid": _is_yaml,
    "object.union": _union,
    "object.union_n": _union_all,
    "object.remove": lambda a, b: Obj(
        (k, v) for k, v in _kind(a, Obj).items() if not any(equal(k, one) for one in _keyed(b))
    ),
    "object.filter": lambda a, b: Obj(
        (k, v) for k, v in _kind(a, Obj).items() if any(equal(k, one) for one in _keyed(b))
    ),
    "object.get": _get,
    "object.keys": lambda a: Set(k for k, _ in _kind(a, Obj).items()),
    "object.subset": _subset,
    "time.now_ns": lambda: _SEED,
    "time.parse_ns": times.parse_ns,
    "time.parse_rfc3339_ns": times.parse_rfc3339_ns,
    "time.parse_duration_ns": times.parse_duration_ns,
    "time.format": times.format_time,
    "time.date": times.date,
    "time.clock": times.clock,
    "time.weekday": times.weekday,
    "time.add_date": times.add_date,
    "time.diff": times.diff,
    "is_number": lambda a: isinstance(a, int | float) and not isinstance(a, bool),
    "is_string": lambda a: isinstance(a, str),
    "is_boolean": lambda a: isinstance(a, bool),
    "is_array": lambda a: isinstance(a, tuple),
    "is_set": lambda a: isinstance(a, Set),
    "is_object": lambda a: isinstance(a, Obj),
    "is_null": lambda a: a is None,
    "type_name": lambda a: _type(a),
    "units.parse": _units,
    "units.parse_bytes": _bytes,
    "uuid.rfc4122": lambda a: str(uuid.UUID(bytes=random.Random(f"{_text(a)} {_SEED}").randbytes(16), version=4)),  # noqa: S311
    "uuid.parse": _uuid,
    "semver.is_valid": _is_semver,
    "semver.compare": _semver,
}


def _meet(sets: list[Set]) -> Set:
    return Set(value for value in sets[0] if all(value in other for other in sets)) if sets else Set()


def _type(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {
        type(None): "null",
        int: "number",
        float: "number",
        str: "string",
        tuple: "array",
        Obj: "object",
        Set: "set",
    }
    return names[type(value)]
