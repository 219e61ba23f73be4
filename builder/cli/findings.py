"""What `lapstrake build --check` prints: the findings of the lint rules, as text or JSON (buildx's forms)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from builder.graph.program import Warning
from frontends.text import Lines, Source


def as_text(findings: Sequence[Warning], source: Source) -> str:
    """Each finding with its page and its lines."""
    if not findings:
        return "Check complete, no warnings found.\n"
    count = f"{len(findings)} warning{'s have' if len(findings) > 1 else ' has'} been found!"
    blocks = [_block(finding, source) for finding in findings]
    return "\n".join([f"Check complete, {count}\n", *blocks])


def as_json(findings: Sequence[Warning], source: Source) -> str:
    """`warnings` and `sources`; lines count from 1."""
    data = base64.b64encode(source.data).decode()
    sources = [{"filename": source.name, "language": "Dockerfile", "data": data}]
    document = {"warnings": [_as_value(finding) for finding in findings], "sources": sources}
    return json.dumps(document, indent=2) + "\n"


def line_note(finding: Warning) -> str:
    """`Rule: message (line 3)`, as the summary of a build has it."""
    text = f"{finding.rule}: {finding.message}" if finding.rule else finding.message
    return f"{text} (line {finding.span.first})" if finding.span is not None else text


def _block(finding: Warning, source: Source) -> str:
    head = f"WARNING: {finding.rule}" + (f" - {finding.url}" if finding.url else "")
    if not finding.rule:
        return f"WARNING: {finding.message}\n"
    span = finding.span
    excerpt = source.excerpt(Lines(span.first, span.last)) if span is not None else ""
    return "\n".join(part for part in (head, finding.message, excerpt) if part) + "\n"


def _as_value(finding: Warning) -> dict[str, Any]:
    value: dict[str, Any] = {
        "ruleName": finding.rule,
        "description": finding.detail,
        "url": finding.url,
        "detail": finding.message,
    }
    if finding.span is not None:
        lines = {"start": {"line": finding.span.first}, "end": {"line": finding.span.last}}
        value["location"] = {"sourceIndex": 0, "ranges": [lines]}
    return {key: part for key, part in value.items() if part != ""}
