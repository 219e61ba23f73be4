"""--call: questions about a Dockerfile, answered as docker buildx prints the answers, as text or JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from cache.errors import Fault
from frontends.dockerfile.outline import Needed, Outline, Target
from frontends.text import Lines, Source

_RESULTS = [{"name": "result.json", "description": ""}, {"name": "result.txt", "description": ""}]
_REQUESTS: list[dict[str, Any]] = [
    {
        "name": "frontend.outline",
        "version": "1.0.0",
        "type": "rpc",
        "description": "List all parameters current build target supports",
        "opts": [{"name": "target", "description": "Target build stage"}],
    },
    {
        "name": "frontend.targets",
        "version": "1.0.0",
        "type": "rpc",
        "description": "List all targets current build supports",
        "opts": [],
    },
    {
        "name": "frontend.subrequests.describe",
        "version": "1.0.0",
        "type": "rpc",
        "description": "List available subrequest types",
        "opts": None,
    },
]
METHODS = ("lint", "outline", "targets", "subrequests.describe")


class Call(msgspec.Struct, frozen=True):
    """method: one of METHODS. form: "text" or "json". ignore_status: findings do not make the command fail."""

    method: str
    form: str = "text"
    ignore_status: bool = False


def parse_call(text: str) -> Call | None:
    """`METHOD[,format=json][,ignorestatus=true]`; None for build. Raises Fault in buildx's words."""
    method, values = "", {"format": "text", "ignorestatus": "false"}
    for field in text.split(",") if text else ():
        key, equals, value = field.partition("=")
        if equals and key not in values:
            raise Fault(f"invalid print field: {field}", "known: format, ignorestatus")
        if equals:
            values[key] = value
        elif method:
            raise Fault(f"invalid print value: {text}", "name one method")
        else:
            method = field
    if values["ignorestatus"].lower() not in ("true", "false", "1", "0", "t", "f"):
        raise Fault(f"invalid ignorestatus print value: {values['ignorestatus']}", "use true or false")
    if method in ("", "build"):
        return None
    method = "lint" if method == "check" else method
    if method not in METHODS:
        hint = "want build, check, outline, targets or subrequests.describe"
        raise Fault(f"failed to build: failed to solve: unsupported request frontend.{method}", hint)
    form = "json" if values["format"] == "json" else "text"
    return Call(method, form, values["ignorestatus"].lower() in ("true", "1", "t"))


def results(document: str, text: str, status: int | None = None) -> str:
    """An answer as --metadata-file holds it. document: the answer in JSON. status: of the lint rules."""
    import json

    code = {} if status is None else {"result.statuscode": str(status)}
    return as_json({"result.json": json.loads(document), **code, "result.txt": text, "version": "1.0.0"})


def describe(form: str) -> str:
    """--call=subrequests.describe. form: text or json, as for those below."""
    if form == "json":
        empty = {"inputs": None, "metadata": _RESULTS, "refs": None}
        return as_json([request | empty for request in _REQUESTS])
    rows = [(r["name"].removeprefix("frontend."), r["version"], r["description"]) for r in _REQUESTS]
    return _table([("NAME", "VERSION", "DESCRIPTION"), *rows], 1)


def show_targets(targets: Sequence[Target], source: Source, form: str) -> str:
    """--call=targets, laid out as by buildx."""
    if form == "json":
        values = [
            _filled(
                name=one.name,
                default=one.default,
                description=one.description,
                base=one.base,
                platform=one.platform,
                location=location(one.lines),
            )
            for one in targets
        ]
        return as_json({"targets": values, "sources": [_encoded(source)]})
    rows = [(f"{one.name} (default)".lstrip() if one.default else one.name, one.description) for one in targets]
    return _table([("TARGET", "DESCRIPTION"), *rows], 1)


def show_outline(outline: Outline, source: Source, form: str) -> str:
    """--call=outline, the same."""
    return _outline_json(outline, source) if form == "json" else _outline_text(outline)


def _outline_text(outline: Outline) -> str:
    parts = []
    if outline.name or outline.description:
        rows = [("TARGET:", outline.name or "(default)")]
        parts.append(_table(rows + ([("DESCRIPTION:", outline.description)] if outline.description else []), 1))
    if outline.arguments:
        values = [(one.name, one.value, one.description) for one in outline.arguments]
        parts.append(_table([("BUILD ARG", "VALUE", "DESCRIPTION"), *values], 3))
    for title, needed in (("SECRET", outline.secrets), ("SSH", outline.agents)):
        if needed:
            rows = [(one.name, "true" if one.required else "") for one in needed]
            parts.append(_table([(title, "REQUIRED"), *rows], 3))
    return "".join(f"{part}\n" for part in parts)


def _outline_json(outline: Outline, source: Source) -> str:
    def needed(all_: Sequence[Needed]) -> list[dict[str, Any]]:
        return [{"name": one.name, **_filled(required=one.required, location=location(one.lines))} for one in all_]

    arguments = [
        {"name": one.name, **_filled(description=one.description, value=one.value, location=location(one.lines))}
        for one in outline.arguments
    ]
    return as_json(
        _filled(
            name=outline.name,
            description=outline.description,
            args=arguments,
            secrets=needed(outline.secrets),
            ssh=needed(outline.agents),
            sources=[_encoded(source)],
        )
    )


def location(*places: Lines) -> dict[str, Any]:
    """Places as BuildKit's pb.Location is written: a range a line, in order, once; {} for none."""
    numbers = sorted({number for lines in places for number in range(lines.first, lines.last + 1)})
    ranges = [{"start": {"line": number}, "end": {"line": number}} for number in numbers]
    return {"ranges": ranges} if ranges else {}


def as_json(value: object) -> str:
    """As Go writes it, indented, with a newline: it also escapes what HTML would read."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text + "\n"


def _filled(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _encoded(source: Source) -> str:
    return base64.b64encode(source.data).decode()


def _table(rows: Sequence[tuple[str, ...]], gap: int) -> str:
    """Columns as Go's text/tabwriter sets them: all but the last are padded, empty ones too."""
    widths = [max(len(row[n]) for row in rows) + gap for n in range(len(rows[0]) - 1)]
    return "".join(_row(row, widths) for row in rows)


def _row(row: tuple[str, ...], widths: Iterable[int]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=True)) + row[-1] + "\n"
